import CKernels
import ModelCore

/// `torch.optim.Adam`, and with `decoupledWeightDecay` `torch.optim.AdamW`.
///
/// m and v are running means of the gradient and of its square, each divided by what it lacks in the first steps;
/// p -= learningRate · m / (sqrt(v) + eps). Adam's weight decay is added to the gradient; AdamW multiplies the parameter
/// by 1 - learningRate · weightDecay first.
public struct Adam: Sendable, Hashable {
  /// The original's `lr`.
  public var learningRate: Double
  /// The shares of the old means in the new ones: of the gradient, the original's `betas[0]`.
  public var beta1: Double
  /// Of its square, the original's `betas[1]`.
  public var beta2: Double
  /// What is added to the divisor.
  public var eps: Double
  /// The share of the parameter that decays.
  public var weightDecay: Double
  /// Whether the greatest v so far divides.
  public var amsgrad: Bool
  /// Whether the decay is AdamW's.
  public var decoupledWeightDecay: Bool
  /// Goes up the gradient.
  public var maximize: Bool

  /// Adam with the original's defaults.
  public init(
    learningRate: Double = 1e-3, beta1: Double = 0.9, beta2: Double = 0.999, eps: Double = 1e-8,
    weightDecay: Double = 0, amsgrad: Bool = false, decoupledWeightDecay: Bool = false, maximize: Bool = false
  ) {
    (self.learningRate, self.beta1, self.beta2, self.eps) = (learningRate, beta1, beta2, eps)
    (self.weightDecay, self.amsgrad) = (weightDecay, amsgrad)
    (self.decoupledWeightDecay, self.maximize) = (decoupledWeightDecay, maximize)
  }

  /// AdamW with the original's defaults.
  public static func adamW(
    learningRate: Double = 1e-3, beta1: Double = 0.9, beta2: Double = 0.999, eps: Double = 1e-8,
    weightDecay: Double = 0.01, amsgrad: Bool = false, maximize: Bool = false
  ) -> Adam {
    Adam(
      learningRate: learningRate, beta1: beta1, beta2: beta2, eps: eps, weightDecay: weightDecay, amsgrad: amsgrad,
      decoupledWeightDecay: true, maximize: maximize)
  }

  /// The names that the original gives its states; nil where there is none.
  var stateNames: [String?] { ["exp_avg", "exp_avg_sq", amsgrad ? "max_exp_avg_sq" : nil] }

  func check() throws {
    try checkRange("lr", learningRate, 0...)
    try checkRange("betas", beta1, 0..<1)
    try checkRange("betas", beta2, 0..<1)
    try checkRange("eps", eps, 0...)
    try checkRange("weight_decay", weightDecay, 0...)
  }

  /// - Parameter step: the number of this step, from 1.
  func kernel(step: Int) -> mk_optimizer {
    var kernel = mk_optimizer()
    kernel.rule = MK_ADAM
    (kernel.learning_rate, kernel.beta1, kernel.beta2, kernel.eps) = (learningRate, beta1, beta2, eps)
    (kernel.weight_decay, kernel.is_decoupled, kernel.maximize) = (weightDecay, decoupledWeightDecay, maximize)
    kernel.first_correction = 1 - CMath.pow(beta1, Double(step))
    kernel.second_correction = CMath.pow(1 - CMath.pow(beta2, Double(step)), 0.5)
    return kernel
  }
}
