import ModelCore
import ModelRandom

/// PyTorch's layers, as its constructors make them: in training mode, parameters requiring gradients.
///
/// Those that have weights take the generator that draws them, in PyTorch's order and bit for bit:
///
///     var generator = TorchGenerator(seed: 0)
///     let net = try Module.sequential([
///       .conv2d(3, 16, kernelSize: 3, padding: 1, bias: false, using: &generator),
///       .batchNorm2d(16),
///       .relu(),
///     ])
///
/// or, below, tensors that there are. All of them throw `ModelError` for sizes that PyTorch refuses, and tensors whose
/// shapes do not fit together.
extension Module {
  // MARK: With weights as the constructor draws them

  /// Conv2d with a square window.
  /// - Parameters:
  ///   - kernelSize: of both axes, as are `stride`, `padding` and `dilation`.
  public static func conv2d(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1, bias: Bool = true, using generator: inout TorchGenerator
  ) throws -> Module {
    try conv2d(
      inChannels, outChannels, kernelSize: [kernelSize, kernelSize], stride: [stride, stride],
      padding: [padding, padding], dilation: [dilation, dilation], groups: groups, bias: bias, using: &generator)
  }

  /// Conv2d: [batch, inChannels, height, width] to [batch, outChannels, …].
  /// - Parameters:
  ///   - kernelSize: [height, width], as are `stride`, `padding` and `dilation`.
  public static func conv2d(
    _ inChannels: Int, _ outChannels: Int, kernelSize: [Int], stride: [Int] = [1, 1], padding: [Int] = [0, 0],
    dilation: [Int] = [1, 1], groups: Int = 1, bias: Bool = true, using generator: inout TorchGenerator
  ) throws -> Module {
    guard [kernelSize, stride, padding, dilation].allSatisfy({ $0.count == 2 }) else {
      throw ModelError(.invalid, "a Conv2d takes two numbers for kernel, stride, padding and dilation")
    }
    return try built(using: &generator) {
      $0.conv2d(
        inChannels, outChannels, kernelSize, stride: stride, padding: padding, dilation: dilation, groups: groups,
        bias: bias)
    }
  }

  /// A fully connected layer.
  public static func linear(
    _ inFeatures: Int, _ outFeatures: Int, bias: Bool = true, using generator: inout TorchGenerator
  ) throws -> Module {
    guard inFeatures > 0, outFeatures > 0 else {
      throw ModelError(.invalid, "there is no Linear of \(inFeatures) to \(outFeatures) features")
    }
    return try built(using: &generator) { $0.linear(inFeatures, outFeatures, bias: bias) }
  }

  /// Queries, keys and values of one size.
  public static func multiheadAttention(
    _ embeddingSize: Int, heads: Int, using generator: inout TorchGenerator
  ) throws -> Module {
    guard embeddingSize > 0, heads > 0 else {
      throw ModelError(.invalid, "there is no attention of \(embeddingSize) features with \(heads) heads")
    }
    return try built(using: &generator) { $0.multiheadAttention(embeddingSize, heads: heads) }
  }

  // MARK: Of tensors that there are

  /// Conv2d of a weight that there is.
  /// - Parameters:
  ///   - weight: [outChannels, inChannels / groups, height, width], which says the sizes.
  ///   - bias: [outChannels].
  public static func conv2d(
    weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1
  ) throws -> Module {
    guard weight.shape.count == 4, groups > 0, stride > 0, dilation > 0, padding >= 0 else {
      throw ModelError(
        .mismatch, "a Conv2d takes a weight of four axes, not of shape \(weight.shape), and sizes above 0")
    }
    let (inChannels, overflow) = weight.shape[1].multipliedReportingOverflow(by: groups)
    guard !overflow else { throw ModelError(.limit, "a Conv2d of \(groups) groups is too large") }
    let convolution = Convolution(
      inChannels: inChannels, outChannels: weight.shape[0], kernelSize: Array(weight.shape[2...]),
      stride: [stride, stride], padding: [padding, padding], dilation: [dilation, dilation], groups: groups)
    return try validated(
      Module(
        ClassName("torch.nn.modules.conv", "Conv2d"), layer: .convolution(convolution), isTraining: true,
        parameters: parameters(weight, bias)))
  }

  /// Linear of a weight that there is.
  /// - Parameters:
  ///   - weight: [outFeatures, inFeatures], which says the sizes.
  ///   - bias: [outFeatures].
  public static func linear(weight: Tensor, bias: Tensor? = nil) throws -> Module {
    guard weight.shape.count == 2 else {
      throw ModelError(.mismatch, "a Linear takes a weight of two axes, not of shape \(weight.shape)")
    }
    return try validated(
      Module(
        ClassName("torch.nn.modules.linear", "Linear"),
        layer: .linear(Linear(inFeatures: weight.shape[1], outFeatures: weight.shape[0])), isTraining: true,
        parameters: parameters(weight, bias)))
  }

  /// BatchNorm2d of statistics that there are.
  /// - Parameters:
  ///   - weight: gamma, [features] as all four; without it and `bias` the layer is not affine.
  ///   - momentum: how much of a batch goes into the running statistics; nil for a cumulative average.
  public static func batchNorm2d(
    weight: Tensor? = nil, bias: Tensor? = nil, runningMean: Tensor, runningVar: Tensor, eps: Double = 1e-5,
    momentum: Double? = 0.1
  ) throws -> Module {
    let norm = BatchNorm(
      rank: 2, features: runningMean.shape.first ?? 0, eps: eps, momentum: momentum,
      isAffine: weight != nil || bias != nil)
    var parameters: OrderedDictionary<String, Parameter> = [:]
    parameters["weight"] = weight.map { Parameter($0) }
    parameters["bias"] = bias.map { Parameter($0) }
    return try validated(
      Module(
        ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"), layer: .batchNorm(norm), isTraining: true,
        parameters: parameters,
        buffers: [
          "running_mean": runningMean, "running_var": runningVar, "num_batches_tracked": try Tensor(.int64, []),
        ]))
  }

  // MARK: Whose weights nobody draws

  /// BatchNorm2d over [batch, features, height, width], affine, with running statistics: weight and variance 1, bias
  /// and mean 0.
  public static func batchNorm2d(_ features: Int, eps: Double = 1e-5, momentum: Double = 0.1) throws -> Module {
    try sized(features) { $0.batchNorm2d(features, eps: eps, momentum: momentum) }
  }

  /// Over the last axis.
  public static func layerNorm(_ features: Int, eps: Double = 1e-5) throws -> Module {
    try sized(features) { $0.layerNorm(features, eps: eps) }
  }

  /// MaxPool2d with a square window; the stride is the window's side when nil.
  public static func maxPool2d(_ kernelSize: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false) throws
    -> Module
  { try built { $0.maxPool2d(kernelSize, stride: stride, padding: padding, ceilMode: ceilMode) } }

  /// AvgPool2d with a square window, padding counted; the stride is the window's side when nil.
  public static func avgPool2d(_ kernelSize: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false) throws
    -> Module
  { try built { $0.avgPool2d(kernelSize, stride: stride, padding: padding, ceilMode: ceilMode) } }

  /// To `outputSize` elements along both axes.
  public static func adaptiveAvgPool2d(_ outputSize: Int) throws -> Module {
    try sized(outputSize) { $0.adaptiveAvgPool2d(outputSize) }
  }

  /// Larger by a factor; `mode` is PyTorch's: nearest, bilinear, …
  public static func upsample(scale: Double, mode: String = "nearest") throws -> Module {
    guard scale > 0, scale.isFinite else { throw ModelError(.invalid, "\(scale) is no factor") }
    return try built { $0.upsample(.scale([scale]), mode: mode) }
  }

  /// Dropout with a probability of 0 to 1.
  public static func dropout(_ p: Double = 0.5) throws -> Module {
    guard (0...1).contains(p) else { throw ModelError(.invalid, "the probability \(p) is not 0 to 1") }
    return try built { $0.dropout(p) }
  }

  /// Any activation that needs no number: what PyTorch's constructor makes without arguments.
  public static func activation(_ kind: Activation.Kind, inplace: Bool = false) throws -> Module {
    guard kind != .prelu, kind != .threshold else {
      throw ModelError(.unsupported, "a \(kind.rawValue) needs numbers of its own")
    }
    return try built { $0.activation(kind, inplace: inplace) }
  }

  /// ReLU: max(x, 0).
  public static func relu(inplace: Bool = false) -> Module { plain(.relu, inplace) }
  /// SiLU: x · sigmoid(x).
  public static func silu(inplace: Bool = false) -> Module { plain(.silu, inplace) }
  /// GELU by the error function.
  public static func gelu() -> Module { plain(.gelu, false) }
  /// Sigmoid: 1 / (1 + exp(-x)).
  public static func sigmoid() -> Module { plain(.sigmoid, false) }

  /// Flatten: all axes but the first as one.
  public static func flatten() -> Module { ModuleBuilder().flatten() }
  /// Identity: gives what it is given.
  public static func identity() -> Module { ModuleBuilder().identity() }

  /// Runs the modules in order; they are named by their numbers.
  public static func sequential(_ modules: [Module]) -> Module { ModuleBuilder().sequential(modules) }

  /// Runs the modules in order.
  public static func sequential(named modules: OrderedDictionary<String, Module>) -> Module {
    ModuleBuilder().sequential(named: modules)
  }

  // MARK: Making

  private static func plain(_ kind: Activation.Kind, _ inplace: Bool) -> Module {
    ModuleBuilder().activation(kind, inplace: inplace)
  }

  private static func built(_ make: (ModuleBuilder) -> Module) throws -> Module {
    var generator = TorchGenerator(seed: 0)
    return try built(using: &generator, make)
  }

  private static func sized(_ size: Int, _ make: (ModuleBuilder) -> Module) throws -> Module {
    guard size > 0 else { throw ModelError(.invalid, "\(size) is no size of a layer") }
    return try built(make)
  }

  private static func built(
    using generator: inout TorchGenerator, _ make: (ModuleBuilder) -> Module
  ) throws -> Module {
    let builder = ModuleBuilder()
    let module = make(builder)
    return try builder.finish(module, using: &generator)
  }

  private static func parameters(_ weight: Tensor, _ bias: Tensor?) -> OrderedDictionary<String, Parameter> {
    var parameters: OrderedDictionary<String, Parameter> = ["weight": Parameter(weight)]
    parameters["bias"] = bias.map { Parameter($0) }
    return parameters
  }

  private static func validated(_ module: Module) throws -> Module {
    try module.validate()
    return module
  }
}
