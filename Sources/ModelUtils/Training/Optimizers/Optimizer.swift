import CKernels
import ModelCore

/// Where a parameter's elements are for a step: memory of the caller's, in any order that stays the same.
public struct ParameterMemory<Scalar: OptimizedScalar> {
  /// The parameter's name.
  public let name: String
  /// The elements, which are changed.
  public let parameter: UnsafeMutableBufferPointer<Scalar>
  /// As many elements; nil where the parameter takes no part in this step.
  public let gradient: UnsafeMutableBufferPointer<Scalar>?
  /// The parameter's running average, which is updated after it; nil for none.
  public let average: UnsafeMutableBufferPointer<Scalar>?

  /// A parameter's memory. The three must not overlap.
  public init(
    _ name: String, _ parameter: UnsafeMutableBufferPointer<Scalar>, gradient: UnsafeMutableBufferPointer<Scalar>?,
    average: UnsafeMutableBufferPointer<Scalar>? = nil
  ) {
    (self.name, self.parameter, self.gradient, self.average) = (name, parameter, gradient, average)
  }
}

/// What becomes of the averages in a step.
public enum StepAveraging: Sendable, Hashable {
  /// Nothing.
  case none
  /// average · decay + (1 - decay) · parameter, as `ModelEMA` rounds it.
  case mix(decay: Double)
  /// average + (1 - decay) · (parameter - average), as torch's `lerp` rounds it.
  case lerp(decay: Double)
}

/// torch's optimizers, bit for bit: rules and options by groups of parameters, and what is kept of each parameter.
///
/// A step is one pass over the memory, in parallel: gradients are clipped, parameters, states and averages updated, and
/// gradients zeroed. The result does not depend on the number of threads. Adam and RMSprop take correctly rounded square
/// roots, as torch does on most processors; on some, MKL's are one unit in the last place off.
public struct Optimizer<Scalar: OptimizedScalar>: Sendable {
  /// The groups, in the order in which a state dict numbers their parameters.
  public internal(set) var groups: [ParameterGroup]
  /// For each parameter its number and its group.
  private let places: [String: Place]
  /// By the parameters' numbers; nil before the first step.
  var states: [ParameterState<Scalar>?]

  struct Place: Sendable {
    let number: Int
    let group: Int
  }

  /// An optimizer that has made no step.
  /// - Throws: `ModelError` for no parameter, one that is named twice, groups with different rules, and an option out of
  ///   its range.
  public init(_ groups: [ParameterGroup]) throws {
    var places: [String: Place] = [:]
    for (index, group) in groups.enumerated() {
      try group.rule.check()
      for name in group.names {
        guard places.updateValue(Place(number: places.count, group: index), forKey: name) == nil else {
          throw ModelError(.invalid, "stands in the optimizer's groups twice", subject: name)
        }
      }
    }
    guard !places.isEmpty else { throw ModelError(.invalid, "the optimizer has no parameters") }
    if let other = groups.first(where: { $0.rule.name != groups[0].rule.name }) {
      throw ModelError(.mismatch, "one group is \(groups[0].rule.name)'s, another \(other.rule.name)'s")
    }
    (self.groups, self.places) = (groups, places)
    states = Array(repeating: nil, count: places.count)
  }

  /// Changes the groups' options, such as their learning rates.
  /// - Throws: `ModelError` for an option out of its range, another rule or other parameters; nothing is changed then.
  public mutating func updateGroups(_ body: (inout ParameterGroup) throws -> Void) throws {
    var changed = groups
    for index in changed.indices {
      try body(&changed[index])
      guard changed[index].names == groups[index].names, changed[index].rule.name == groups[index].rule.name else {
        throw ModelError(.mismatch, "a group's parameters and rule cannot change")
      }
      try changed[index].rule.check()
    }
    groups = changed
  }

  /// A parameter's number in state dicts; nil for one that is in no group.
  func place(_ name: String) -> Place? { places[name] }

  /// One step: the original's `step`, with what comes before and after it.
  /// - Parameters:
  ///   - memory: the parameters to change. Of one without a gradient the average alone is updated, and it gets no state.
  ///   - clipping: how the gradients of all of these are bounded first; their memory keeps them as they were.
  ///   - averaging: what becomes of the averages.
  ///   - zeroesGradients: whether the gradients are zeros afterwards.
  /// - Returns: the norm of all gradients where they are clipped to one.
  /// - Throws: `ModelError` for a parameter that is in no group or given twice, memory of different sizes or of another
  ///   size than in the steps before; nothing is changed then.
  @discardableResult
  public mutating func step(
    _ memory: [ParameterMemory<Scalar>], clipping: GradientClipping? = nil, averaging: StepAveraging = .none,
    zeroesGradients: Bool = false
  ) throws -> Double? {
    try check(memory)
    var (scale, limit, norm) = (1.0, Double.infinity, Double?.none)
    switch clipping {
    case .none: break
    case .norm(let maximum, let refusesNonFinite):
      try clipping?.check()
      let total = gradientNorm(memory.compactMap(\.gradient))
      guard total.isFinite || !refusesNonFinite else {
        throw ModelError(.invalid, "the norm of the gradients is \(total), so they cannot be clipped")
      }
      (scale, norm) = (GradientClipping.coefficient(norm: total, maximum: maximum), total)
    case .value(let bound):
      try clipping?.check()
      limit = bound
    }
    let known = memory.compactMap { item in places[item.name].map { (item, $0) } }
    for (item, place) in known where item.gradient != nil {
      if states[place.number] == nil { states[place.number] = ParameterState(count: item.parameter.count) }
      try states[place.number]?.prepare(groups[place.group].rule.stateNames)
    }
    run(
      known.map { item, place in
        var job = Job(item)
        if item.gradient != nil {
          job.begin(&states[place.number], groups[place.group].rule)
        }
        (job.kernel.gradient_scale, job.kernel.gradient_limit) = (scale, limit)
        job.kernel.zeroes_gradient = zeroesGradients
        job.set(averaging)
        return job
      })
    return norm
  }

  private func check(_ memory: [ParameterMemory<Scalar>]) throws {
    var seen: Set<String> = []
    for item in memory {
      guard let place = places[item.name] else {
        throw ModelError(.missing, "is in none of the optimizer's groups", subject: item.name)
      }
      guard seen.insert(item.name).inserted else {
        throw ModelError(.invalid, "is given to one step twice", subject: item.name)
      }
      let count = item.parameter.count
      let others = [item.gradient?.count, item.average?.count, states[place.number]?.count]
      if let other = others.compactMap({ $0 }).first(where: { $0 != count }) {
        throw ModelError(
          .mismatch, "has \(count) elements where its gradient, average or state has \(other)", subject: item.name)
      }
    }
  }

  private func run(_ jobs: [Job]) {
    nonisolated(unsafe) let jobs = jobs
    let pieces = FlatPiece.all(jobs.map(\.memory.parameter.count))
    Parallel.forEach(pieces.count) { jobs[pieces[$0].owner].run(pieces[$0]) }
  }
}

extension Optimizer {
  /// A parameter's part of a step.
  private struct Job {
    let memory: ParameterMemory<Scalar>
    var kernel = mk_optimizer()
    var states: (UnsafeMutablePointer<Scalar>?, UnsafeMutablePointer<Scalar>?, UnsafeMutablePointer<Scalar>?)

    init(_ memory: ParameterMemory<Scalar>) { self.memory = memory }

    /// Counts the step and says what it is.
    mutating func begin(_ state: inout ParameterState<Scalar>?, _ rule: OptimizerRule) {
      guard let isFirst = state?.begin(), let state else { return }
      kernel = rule.kernel(step: state.step, isFirst: isFirst)
      states = (state.pointer(0, rule), state.pointer(1, rule), state.pointer(2, rule))
    }

    mutating func set(_ averaging: StepAveraging) {
      switch averaging {
      case .none: kernel.average = MK_AVERAGE_NONE
      case .mix(let decay):
        (kernel.average, kernel.average_keep, kernel.average_weight) = (MK_AVERAGE_MIX, decay, 1 - decay)
      case .lerp(let decay): (kernel.average, kernel.average_weight) = (MK_AVERAGE_LERP, 1 - decay)
      }
    }

    func run(_ piece: FlatPiece) {
      guard let start = memory.parameter.baseAddress else { return }
      let parameter = start + piece.first
      let average = memory.average?.baseAddress.map { $0 + piece.first }
      if let gradient = memory.gradient?.baseAddress {
        let pointers = [states.0, states.1, states.2].map { UnsafeMutableRawPointer($0.map { $0 + piece.first }) }
        withUnsafePointer(to: kernel) {
          mk_optimize(parameter, gradient + piece.first, pointers, average, piece.count, Scalar.format, $0)
        }
      } else if let average {
        let (keep, weight) = (kernel.average_keep, kernel.average_weight)
        switch kernel.average {
        case MK_AVERAGE_MIX:
          _ = mk_average_mix(average, Scalar.format, parameter, Scalar.format, piece.count, keep, weight)
        case MK_AVERAGE_LERP:
          _ = mk_average_lerp(average, Scalar.format, parameter, Scalar.format, piece.count, weight)
        default: break
        }
      }
    }
  }
}

extension ParameterState {
  /// Where the state of a place is, if the rule has one there.
  fileprivate func pointer(_ place: Int, _ rule: OptimizerRule) -> UnsafeMutablePointer<Scalar>? {
    rule.stateNames[place] == nil ? nil : buffers[place]?.start
  }
}
