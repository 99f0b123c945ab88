# Prints the numbers of R that crates/xent/tests/calibration_r.rs holds xent to; nothing is written.
#
#     Rscript tools/golden_calibration.R
#
# Needs the CRAN package SpecsVerification (Ferro and Fricker's correction and Siegert's standard errors). The parts by
# isotonic regression are those of reliabilitydiag's summary(): mean squared errors of what was said, of stats::isoreg,
# which that package calls, and of the frequency. Rows are made of integers, so that every language makes the same, and
# none lies on the edge of a bin: R's bins hold their upper edge, xent's their lower.
rows <- function(n, ties) {
  k <- (seq_len(n) - 1) * 7919
  p <- if (ties) (2 * ((k %% 998) %/% 50) + 1) / 41 else (2 * (k %% 998) + 1) / 1996
  u <- (((seq_len(n) - 1) * 37) %% 103 + 0.5) / 103
  list(p = p, y = as.numeric(u < 0.2 + 0.5 * p))
}
show <- function(name, x) cat(name, sprintf("%.17g", x), "\n")
for (ties in c(FALSE, TRUE)) {
  r <- rows(500, ties)
  for (corrected in c(FALSE, TRUE)) {
    found <- SpecsVerification::BrierDecomp(r$p, r$y, bins = 10, bias.corrected = corrected)
    show(if (corrected) "corrected" else "plain", found[1, ])
    show("  errors", found[2, ])
  }
  fit <- stats::isoreg(r$p, r$y)
  y <- if (fit$isOrd) r$y else r$y[fit$ord]
  spread <- mean((y - mean(y))^2)
  rest <- mean((fit$yf - y)^2)
  show("isotonic", c(mean((r$p - r$y)^2), spread, spread - rest, mean((r$p - r$y)^2) - rest))
}
