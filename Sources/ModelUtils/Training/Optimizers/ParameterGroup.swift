import CKernels
import ModelCore

/// How an optimizer changes parameters.
public enum OptimizerRule: Sendable, Hashable {
  /// Gradient descent.
  case sgd(SGD)
  /// Adam or AdamW.
  case adam(Adam)
  /// RMSprop.
  case rmsprop(RMSprop)

  /// The original's `lr`.
  public var learningRate: Double {
    get {
      switch self {
      case .sgd(let rule): rule.learningRate
      case .adam(let rule): rule.learningRate
      case .rmsprop(let rule): rule.learningRate
      }
    }
    set {
      switch self {
      case .sgd(var rule):
        rule.learningRate = newValue
        self = .sgd(rule)
      case .adam(var rule):
        rule.learningRate = newValue
        self = .adam(rule)
      case .rmsprop(var rule):
        rule.learningRate = newValue
        self = .rmsprop(rule)
      }
    }
  }

  /// The original's `momentum`; nil for Adam, which has none. Setting it does nothing to Adam.
  public var momentum: Double? {
    get {
      switch self {
      case .sgd(let rule): rule.momentum
      case .adam: nil
      case .rmsprop(let rule): rule.momentum
      }
    }
    set {
      guard let newValue else { return }
      switch self {
      case .sgd(var rule):
        rule.momentum = newValue
        self = .sgd(rule)
      case .adam: break
      case .rmsprop(var rule):
        rule.momentum = newValue
        self = .rmsprop(rule)
      }
    }
  }

  /// What `OneCycleLR` cycles: the momentum, or Adam's first beta.
  public var cycledMomentum: Double {
    get { if case .adam(let rule) = self { rule.beta1 } else { momentum ?? 0 } }
    set {
      guard case .adam(var rule) = self else {
        momentum = newValue
        return
      }
      rule.beta1 = newValue
      self = .adam(rule)
    }
  }

  /// The original's `weight_decay`.
  public var weightDecay: Double {
    switch self {
    case .sgd(let rule): rule.weightDecay
    case .adam(let rule): rule.weightDecay
    case .rmsprop(let rule): rule.weightDecay
    }
  }

  /// The name of the original's class.
  public var name: String {
    switch self {
    case .sgd: "SGD"
    case .adam(let rule): rule.decoupledWeightDecay ? "AdamW" : "Adam"
    case .rmsprop: "RMSprop"
    }
  }

  var stateNames: [String?] {
    switch self {
    case .sgd(let rule): rule.stateNames
    case .adam(let rule): rule.stateNames
    case .rmsprop(let rule): rule.stateNames
    }
  }

  /// Whether the original counts a parameter's steps.
  var countsSteps: Bool { if case .sgd = self { false } else { true } }

  func check() throws {
    switch self {
    case .sgd(let rule): try rule.check()
    case .adam(let rule): try rule.check()
    case .rmsprop(let rule): try rule.check()
    }
  }

  func kernel(step: Int, isFirst: Bool) -> mk_optimizer {
    var kernel =
      switch self {
      case .sgd(let rule): rule.kernel(isFirst: isFirst)
      case .adam(let rule): rule.kernel(step: step)
      case .rmsprop(let rule): rule.kernel()
      }
    (kernel.gradient_scale, kernel.gradient_limit) = (1, .infinity)
    return kernel
  }
}

/// Parameters that are changed by one rule with one set of options.
public struct ParameterGroup: Sendable, Hashable {
  /// The parameters, in the order in which a state dict numbers them.
  public let names: [String]
  /// The rule and its options.
  public var rule: OptimizerRule
  /// What a schedule multiplies, the original's `initial_lr`; nil without a schedule.
  public var initialLearningRate: Double?

  /// A group of parameters.
  public init(_ names: [String], _ rule: OptimizerRule, initialLearningRate: Double? = nil) {
    (self.names, self.rule, self.initialLearningRate) = (names, rule, initialLearningRate)
  }
}
