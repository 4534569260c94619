import CKernels
import ModelCore

/// `torch.optim.SGD`: gradient descent, with momentum, dampening and Nesterov's look ahead.
///
/// With momentum, v = momentum · v + (1 - dampening) · g, where the first v is g; then p -= learningRate · v, or with
/// Nesterov p -= learningRate · (g + momentum · v). The weight decay is added to the gradient.
public struct SGD: Sendable, Hashable {
  /// The original's `lr`.
  public var learningRate: Double
  /// How much of the last step is in the next; 0 keeps no state.
  public var momentum: Double
  /// The share of the gradient that does not go into the momentum.
  public var dampening: Double
  /// The share of the parameter that is added to its gradient.
  public var weightDecay: Double
  /// Nesterov's momentum, which takes a momentum above 0 and no dampening.
  public var nesterov: Bool
  /// Goes up the gradient.
  public var maximize: Bool

  /// The rule with the original's defaults.
  public init(
    learningRate: Double = 1e-3, momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0,
    nesterov: Bool = false, maximize: Bool = false
  ) {
    (self.learningRate, self.momentum, self.dampening) = (learningRate, momentum, dampening)
    (self.weightDecay, self.nesterov, self.maximize) = (weightDecay, nesterov, maximize)
  }

  /// The names that the original gives its states; nil where there is none.
  var stateNames: [String?] { [momentum != 0 ? "momentum_buffer" : nil, nil, nil] }

  func check() throws {
    try checkRange("lr", learningRate, 0...)
    try checkRange("momentum", momentum, 0...)
    try checkRange("weight_decay", weightDecay, 0...)
    guard dampening.isFinite else { throw outOfRange("dampening", dampening) }
    guard !nesterov || (momentum > 0 && dampening == 0) else {
      throw ModelError(.invalid, "Nesterov's momentum takes a momentum above 0 and no dampening")
    }
  }

  /// - Parameter isFirst: whether the momentum begins with this step.
  func kernel(isFirst: Bool) -> mk_optimizer {
    var kernel = mk_optimizer()
    kernel.rule = MK_SGD
    (kernel.learning_rate, kernel.momentum, kernel.dampening) = (learningRate, momentum, dampening)
    (kernel.weight_decay, kernel.nesterov, kernel.maximize) = (weightDecay, nesterov, maximize)
    kernel.is_first = isFirst
    return kernel
  }
}

/// - Throws: `ModelError` for a value of an option outside its range.
func checkRange(_ name: String, _ value: Double, _ range: some RangeExpression<Double>) throws {
  guard value.isFinite, range.contains(value) else { throw outOfRange(name, value) }
}

func outOfRange(_ name: String, _ value: Double) -> ModelError {
  ModelError(.invalid, "an optimizer's \(name) cannot be \(value)", subject: name)
}
