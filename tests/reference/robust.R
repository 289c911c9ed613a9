# The numbers of robust.json by R: Rscript tests/reference/robust.R, in the project's folder. Needs sandwich and survey.
# It was written without R at hand, from the definitions that the manuals of these packages state.
library(sandwich)
library(survey)
options(digits = 14)

sets <- list(
  spector = list(
    columns = c("GPA", "TUCE", "PSI"), ways = function(d, i) data.frame(one = d$TUCE, two = i %% 4),
    lags = 3, weight = function(d) d$GPA
  ),
  remission = list(
    columns = c("cell", "smear", "infil", "li", "blast", "temp"), ways = function(d, i) data.frame(one = d$li, two = i %% 5),
    lags = 2, weight = function(d) 1 + d$blast
  ),
  lbw_stata = list(
    columns = c("age", "lwt", "race_black", "race_other", "smoke", "ptl", "ht", "ui", "ftv"),
    ways = function(d, i) data.frame(one = d$age, two = i %% 6), lags = 4, weight = function(d) d$lwt / 100,
    times = function(d) 1 + d$ftv
  ),
  anes96 = list(
    columns = c("logpopul", "selfLR", "age", "educ", "income"), ways = function(d, i) data.frame(one = d$age, two = d$educ),
    lags = 5, weight = function(d) d$income
  ),
  gee_logistic = list(
    columns = c("x1", "x2", "x3"), ways = function(d, i) data.frame(one = d$cluster, two = i %% 7),
    lags = 2, weight = function(d) 1 + d$x1^2
  )
)

print_influence <- function(fit) {
  print(cbind(
    leverage = hatvalues(fit), pearson = residuals(fit, "pearson"), deviance = residuals(fit, "deviance"),
    standardized_pearson = rstandard(fit, type = "pearson"), standardized_deviance = rstandard(fit),
    cooks_distance = cooks.distance(fit), dfbeta(fit)
  ))
}

for (name in names(sets)) {
  asked <- sets[[name]]
  d <- read.csv(file.path("tests", "reference", paste0(name, ".csv")))
  if (name == "anes96") d$y <- as.numeric(d$y > 3)
  ways <- asked$ways(d, seq_len(nrow(d)) - 1)
  formula <- reformulate(asked$columns, "y")
  control <- glm.control(epsilon = 1e-14, maxit = 100)
  fit <- glm(formula, binomial, d, control = control)
  cat("\n", name, "\n")
  print_influence(fit)
  for (type in c("HC0", "HC1", "HC2", "HC3")) {
    cat(type, "\n")
    print(vcovHC(fit, type = type))
  }
  cat("cluster\n")
  print(vcovCL(fit, cluster = ways$one, type = "HC1", cadjust = TRUE))
  cat("two ways\n")
  print(vcovCL(fit, cluster = ways, type = "HC1", cadjust = TRUE, multi0 = FALSE))
  cat("HAC\n")
  print(NeweyWest(fit, lag = asked$lags, prewhite = FALSE, adjust = TRUE))
  cat("sampling\n")
  d$own_weight <- asked$weight(d)
  design <- svydesign(ids = ~1, weights = ~own_weight, data = d)
  print(vcov(svyglm(formula, design, family = quasibinomial, control = control)))
  if (!is.null(asked$times)) {
    cat("rows that stand for several\n")
    d$times <- asked$times(d)
    print_influence(glm(formula, binomial, d, weights = times, control = control))
    repeated <- d[rep(seq_len(nrow(d)), d$times), ]
    for (type in c("HC0", "HC2", "HC3")) {
      cat(type, "\n")
      print(vcovHC(glm(formula, binomial, repeated, control = control), type = type))
    }
  }
}
