"""Metadata routing of `LogisticRegressorCV`: what of a call goes to its splitter, and what to its scorer.

Without routing `groups` are the splitter's and `sample_weight` the scorer's, as ever, and nothing else is taken. With
scikit-learn's enable_metadata_routing they go where they are requested.
"""

from typing import Any

from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)


def router(estimator: Any) -> MetadataRouter:
    """The routes of an estimator with `cv` and a scorer."""
    fit_and_score = MethodMapping().add(caller="score", callee="score").add(caller="fit", callee="score")
    routes = MetadataRouter(owner=estimator).add_self_request(estimator)
    routes = routes.add(splitter=estimator.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
    return routes.add(scorer=estimator._get_scorer(), method_mapping=fit_and_score)


def routed(estimator: Any, method: str, sample_weight: Any, of_splitter: dict[str, Any], params: dict[str, Any]) -> Any:
    """What the splitter and the scorer of a call get.

    Args:
        estimator: with `get_metadata_routing`.
        method: "fit" or "score".
        sample_weight: of the call, or None.
        of_splitter: named arguments for the splitter alone.
        params: what else the call was given.

    Returns:
        Two dictionaries.

    Raises:
        TypeError, ValueError: nobody requests an argument, or routing is not enabled; in scikit-learn's words.
    """
    _raise_for_params(params, estimator, method)
    of_splitter = {name: value for name, value in of_splitter.items() if value is not None}
    of_scorer = {} if sample_weight is None else {"sample_weight": sample_weight}
    if not _routing_enabled():
        return of_splitter, of_scorer
    routes: Any = process_routing(estimator, method, **of_scorer, **of_splitter, **params)
    return routes["splitter"].get("split", {}), routes["scorer"].get("score", {})
