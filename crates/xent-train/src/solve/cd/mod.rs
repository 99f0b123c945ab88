//! Coordinate descent, for lasso and elastic net.

mod columns;
mod gram;

use std::fmt;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::gap::Duality;
use crate::solve::line_search::Found;
use crate::solve::prox::{soft, subgradient};
use crate::solve::walk::{Header, Standing, Step, Steps, walk};
use crate::solve::{
    Begin, Limits, Observer, Solution, Solver, State, dot, norm, refuse_squared_error,
};

/// Proximal Newton: a quadratic model of the loss, its minimum with the lasso by coordinate descent, a line search towards it.
///
/// ```text
/// v = argmin g'(v - u) + ½ (v - u)' H (v - u) + Σ l1 |v|,    u ← u + step (v - u)
/// v_i ← soft(H_ii v_i - r_i, l1_i) / H_ii,   r = g + H (v - u)
/// ```
///
/// For lasso and elastic net; ridge alone works too. Coefficients that are 0 are exactly 0. On the support that coordinate descent
/// finds, the model's minimum is found as a linear system, so that correlated features do no harm.
///
/// *Few parameters*: the Hessian is formed, and the coordinates are those of all parameters. *Many*: of each iteration's coordinates are
/// those that are not 0, and of those that must leave 0 at most as many again, with the largest subgradients (a working set); their columns are copied,
/// and the Hessian is never formed.
///
/// The gap is a bound by duality if every feature has a penalty; in the course of the iterations, and where there is no such
/// bound, an estimate: what the model promises.
///
/// Sources: Lee, Sun and Saunders (2014), doi:10.1137/130921428; Yuan, Ho and Lin (2012), "An improved GLMNET for
/// l1-regularized logistic regression", JMLR 13; Friedman, Hastie and Tibshirani (2010), doi:10.18637/jss.v033.i01.
#[derive(Clone, Debug)]
pub struct Cd {
    /// Sweeps over the coordinates in an iteration at most.
    pub max_sweeps: usize,
}

impl Default for Cd {
    fn default() -> Self {
        Self { max_sweeps: 1000 }
    }
}

const NAME: &str = "cd";
/// The Hessian is formed up to so many parameters,
const MOST_PARAMS: usize = 1500;
/// and up to so many multiplications.
const MOST_WORK: f64 = 2e10;
/// Coordinates that may leave 0 in an iteration, whatever the size of the support.
const LEAST_ROOM: usize = 64;
/// Coordinate descent ends when a sweep lowers the model by less than this share of what all have.
const SHARE: f64 = 1e-6;

impl Solver for Cd {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        refuse_squared_error(NAME, problem)?;
        let (params, header) = match from {
            Begin::Start(params) => (params, Header::start(NAME, 2)),
            Begin::State(state) => {
                let header = Header::of(NAME, state)?;
                (state.need_vector("params", problem.n_params())?, header)
            }
        };
        let mut under = Under::new(problem, self.max_sweeps, params);
        walk(&mut under, header, problem, limits, observer)
    }
}

/// The quadratic part of the model over some coordinates, at a point that is moved.
trait Model {
    /// H_ii.
    fn curvature(&self, coordinate: usize) -> f64;
    /// r_i here.
    fn slope(&self, coordinate: usize) -> f64;
    /// Moves the point.
    fn shift(&mut self, coordinate: usize, by: f64);
    /// x to H⁻¹ x, of these coordinates alone.
    fn solve(&self, coordinates: &[usize], x: &mut [f64]);
}

struct Under<'a> {
    problem: &'a Problem<'a>,
    duality: Option<Duality<'a>>,
    max_sweeps: usize,
    params: Vec<f64>,
    objective: f64,
    gradient: Vec<f64>,
    /// The minimum of the model here,
    target: Vec<f64>,
    /// and what it promises; infinite if other coordinates are still to leave 0.
    promise: f64,
}

impl fmt::Debug for Under<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cd").field("objective", &self.objective).finish_non_exhaustive()
    }
}

impl<'a> Under<'a> {
    fn new(problem: &'a Problem<'a>, max_sweeps: usize, params: Vec<f64>) -> Self {
        let mut gradient = vec![0.0; params.len()];
        let objective = problem.gradient(&params, &mut gradient) + problem.lasso(&params);
        let duality = Duality::new(problem);
        let (target, promise) = (Vec::new(), 0.0);
        let mut under =
            Self { problem, duality, max_sweeps, params, objective, gradient, target, promise };
        under.aim();
        under
    }

    fn aim(&mut self) {
        let problem = self.problem;
        let n = problem.n_params();
        let work = problem.n_rows() as f64 * (n * n) as f64;
        self.target = self.params.clone();
        if n <= MOST_PARAMS && work <= MOST_WORK {
            let coordinates: Vec<usize> = (0..n).filter(|&i| problem.is_free(i)).collect();
            let mut model = gram::Gram::new(problem, &self.params, &self.gradient);
            self.promise = self.minimise(&mut model, &coordinates, &coordinates);
            return;
        }
        let (coordinates, is_whole) = self.working_set();
        let mut model = columns::Columns::new(problem, &self.params, &self.gradient, &coordinates);
        let own: Vec<usize> = (0..coordinates.len()).collect();
        let promise = self.minimise(&mut model, &own, &coordinates);
        self.promise = if is_whole { promise } else { f64::INFINITY };
    }

    /// Parameters that are not 0 or have no lasso, and those that must leave 0; whether all of these had room.
    fn working_set(&self) -> (Vec<usize>, bool) {
        let problem = self.problem;
        let slopes = subgradient(problem, &self.params, &self.gradient);
        let is_moving = |&i: &usize| self.params[i] != 0.0 || problem.l1(i) == 0.0;
        let free = (0..self.params.len()).filter(|&i| problem.is_free(i));
        let (mut own, others): (Vec<usize>, Vec<usize>) = free.partition(is_moving);
        let mut leaving: Vec<usize> = others.into_iter().filter(|&i| slopes[i] != 0.0).collect();
        let room = own.len().max(LEAST_ROOM);
        let is_whole = leaving.len() <= room;
        leaving.sort_by(|&a, &b| slopes[b].abs().total_cmp(&slopes[a].abs()).then(a.cmp(&b)));
        leaving.truncate(room);
        own.extend(leaving);
        own.sort_unstable();
        (own, is_whole)
    }

    /// Moves the target to the minimum of the model. `coordinates` are the model's, `params` which parameters they are. What the
    /// model falls by.
    fn minimise(&mut self, model: &mut dyn Model, coordinates: &[usize], params: &[usize]) -> f64 {
        let problem = self.problem;
        let l1: Vec<f64> = params.iter().map(|&i| problem.l1(i)).collect();
        let before: Vec<f64> = params.iter().map(|&i| self.params[i]).collect();
        let mut v = before.clone();
        let slopes: Vec<f64> = params.iter().map(|&i| self.gradient[i]).collect();
        let least = 1e-14
            * coordinates.iter().map(|&c| model.curvature(c)).fold(f64::MIN_POSITIVE, f64::max);
        let sweep = |v: &mut [f64], model: &mut dyn Model, some: &[usize]| {
            let mut fall = 0.0;
            for &a in some {
                let (c, h) = (coordinates[a], model.curvature(coordinates[a]));
                if h <= least {
                    continue;
                }
                let next = soft(h * v[a] - model.slope(c), l1[a]) / h;
                let by = next - v[a];
                if by != 0.0 {
                    model.shift(c, by);
                    v[a] = next;
                    fall += 0.5 * h * by * by;
                }
            }
            fall
        };
        let all: Vec<usize> = (0..coordinates.len()).collect();
        let rounding = 1e-22 * self.objective.abs();
        let (mut total, mut sweeps, mut patience) = (0.0, 0, 4);
        while sweeps < self.max_sweeps {
            let fall = sweep(&mut v, model, &all);
            total += fall;
            sweeps += 1;
            if fall <= SHARE * total || fall <= rounding {
                break;
            }
            // The support alone for a while, then as a linear system.
            let support: Vec<usize> =
                all.iter().copied().filter(|&a| v[a] != 0.0 || l1[a] == 0.0).collect();
            for _ in 0..patience {
                let fall = sweep(&mut v, model, &support);
                total += fall;
                sweeps += 1;
                if fall <= SHARE * total {
                    break;
                }
            }
            if !settle(&mut v, model, coordinates, &support, &l1, least) {
                patience *= 2;
            }
        }
        let mut promise = 0.0;
        for a in all {
            let way = v[a] - before[a];
            // Of a quadratic: the mean of the slopes at both ends, times the way.
            promise -= 0.5 * way * (slopes[a] + model.slope(coordinates[a]));
            promise -= l1[a] * (v[a].abs() - before[a].abs());
            self.target[params[a]] = v[a];
        }
        promise.max(0.0)
    }

    /// Towards the target, as far as the objective falls; `None` if it does not.
    fn search(&self) -> (Option<Found>, usize) {
        let problem = self.problem;
        let way: Vec<f64> = self.target.iter().zip(&self.params).map(|(v, u)| v - u).collect();
        let slope =
            dot(&self.gradient, &way) + problem.lasso(&self.target) - problem.lasso(&self.params);
        let here = norm(&subgradient(problem, &self.params, &self.gradient));
        let mut gradient = vec![0.0; self.params.len()];
        let mut step = 1.0;
        for passes in 1..=30 {
            let next: Vec<f64> = if step == 1.0 {
                self.target.clone()
            } else {
                self.params.iter().zip(&way).map(|(u, d)| u + step * d).collect()
            };
            let value = problem.gradient(&next, &mut gradient) + problem.lasso(&next);
            // Near the minimum differences of the objective are rounding; subgradients still tell.
            let falls = value <= self.objective + 1e-4 * step * slope
                || (value - self.objective).abs() <= 1e-13 * self.objective.abs()
                    && norm(&subgradient(problem, &next, &gradient)) < here;
            if value.is_finite() && falls {
                return (Some(Found { params: next, objective: value, gradient }), passes);
            }
            step *= 0.5;
        }
        (None, 30)
    }
}

/// The minimum of the model on a support with its signs, if no sign changes on the way; whether it went there.
fn settle(
    v: &mut [f64],
    model: &mut dyn Model,
    coordinates: &[usize],
    support: &[usize],
    l1: &[f64],
    least: f64,
) -> bool {
    let support: Vec<usize> =
        support.iter().copied().filter(|&a| model.curvature(coordinates[a]) > least).collect();
    let support: Vec<usize> =
        support.into_iter().filter(|&a| v[a] != 0.0 || l1[a] == 0.0).collect();
    let own: Vec<usize> = support.iter().map(|&a| coordinates[a]).collect();
    let mut x: Vec<f64> = support
        .iter()
        .map(|&a| {
            model.slope(coordinates[a]) + if l1[a] > 0.0 { l1[a].copysign(v[a]) } else { 0.0 }
        })
        .collect();
    model.solve(&own, &mut x);
    let keeps = support
        .iter()
        .zip(&x)
        .all(|(&a, x)| x.is_finite() && (l1[a] == 0.0 || (v[a] - x) * v[a] > 0.0));
    if keeps {
        for (&a, x) in support.iter().zip(&x) {
            model.shift(coordinates[a], -x);
            v[a] -= x;
        }
    }
    keeps
}

impl Steps for Under<'_> {
    fn standing(&self) -> Standing {
        Standing {
            objective: self.objective,
            gradient_norm: norm(&subgradient(self.problem, &self.params, &self.gradient)),
            estimate: Some(self.promise),
        }
    }

    fn params(&self) -> &[f64] {
        &self.params
    }

    fn bound(&self) -> Option<f64> {
        let duality = self.duality.as_ref()?;
        Some(duality.gap(&self.params, self.objective, &self.gradient))
    }

    fn patience(&self) -> usize {
        5
    }

    fn step(&mut self) -> Result<Step, Error> {
        if self.target == self.params {
            return Ok(Step { has_moved: false, passes: 0 });
        }
        let (found, passes) = self.search();
        let Some(Found { params, objective, gradient }) = found else {
            return Ok(Step { has_moved: false, passes });
        };
        self.params = params;
        self.objective = objective;
        self.gradient = gradient;
        self.aim();
        Ok(Step { has_moved: true, passes: passes + 1 })
    }

    fn save(&self, _: &mut State) {}
}
