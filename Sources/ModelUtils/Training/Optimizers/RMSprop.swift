import CKernels
import ModelCore

/// `torch.optim.RMSprop`.
///
/// v is a running mean of the gradient's square, less the square of the gradient's own running mean where it is
/// centered; p -= learningRate · g / (sqrt(v) + eps). With momentum the quotients gather in a buffer, which is what is
/// subtracted.
public struct RMSprop: Sendable, Hashable {
  /// The original's `lr`.
  public var learningRate: Double
  /// The share of the old means in the new ones.
  public var alpha: Double
  /// What is added to the divisor.
  public var eps: Double
  /// The share of the parameter that is added to its gradient.
  public var weightDecay: Double
  /// How much of the last step is in the next; 0 keeps no buffer.
  public var momentum: Double
  /// Whether the gradient's variance divides, not its square.
  public var centered: Bool
  /// Goes up the gradient.
  public var maximize: Bool

  /// The rule with the original's defaults.
  public init(
    learningRate: Double = 1e-2, alpha: Double = 0.99, eps: Double = 1e-8, weightDecay: Double = 0,
    momentum: Double = 0, centered: Bool = false, maximize: Bool = false
  ) {
    (self.learningRate, self.alpha, self.eps) = (learningRate, alpha, eps)
    (self.weightDecay, self.momentum, self.centered, self.maximize) = (weightDecay, momentum, centered, maximize)
  }

  /// The names that the original gives its states; nil where there is none.
  var stateNames: [String?] {
    ["square_avg", momentum > 0 ? "momentum_buffer" : nil, centered ? "grad_avg" : nil]
  }

  func check() throws {
    try checkRange("lr", learningRate, 0...)
    try checkRange("alpha", alpha, 0...)
    try checkRange("eps", eps, 0...)
    try checkRange("momentum", momentum, 0...)
    try checkRange("weight_decay", weightDecay, 0...)
  }

  func kernel() -> mk_optimizer {
    var kernel = mk_optimizer()
    kernel.rule = MK_RMSPROP
    (kernel.learning_rate, kernel.alpha, kernel.eps) = (learningRate, alpha, eps)
    (kernel.weight_decay, kernel.momentum, kernel.maximize) = (weightDecay, momentum, maximize)
    return kernel
  }
}
