import CKernels
import ModelCore

/// Folds a batch normalisation into the convolution (or fully connected layer) before it, as YOLOv5's
/// `fuse_conv_and_bn`.
///
/// With s = gamma / √(var + eps) per output channel: weight' = s · weight, bias' = s · bias + (beta - gamma · mean /
/// √(var + eps)). Arithmetic is float32 in the original's order (float64 when the weight is), rounded once to the
/// weight's own type. A float32 layer gets the original's bits but where PyTorch's own square root, a vector library's,
/// is not correctly rounded: there the scale of a channel differs by one unit in the last place.
///
/// The fused parameters do not require gradients. (The original says so, too, but its copy makes them require one
/// again.)
/// - Parameters:
///   - conv: a Conv1d/2d/3d, ConvTranspose1d/2d/3d or Linear; grouped ones too.
///   - bn: a BatchNorm1d/2d/3d or SyncBatchNorm with running statistics, affine or not.
/// - Throws: `ModelError` when the two do not fit together.
public func fuseConvAndBN(_ conv: Module, _ bn: Module) throws -> Module {
  if let reason = ConvBNPair.misfit(conv, bn) { throw ModelError(.mismatch, reason) }
  var fused = conv
  var folding = try ConvBNPair.folding(conv, bn)
  try folding.run()
  folding.finish(&fused)
  return fused
}

/// Folds a batch normalisation into a layer given by its tensors.
/// - Parameters:
///   - weight: [out, in/groups, kernel…]; [in, out/groups, kernel…] when transposed; [out, in] for a fully connected
///     layer.
///   - bias: [out], or nil for none.
///   - groups: of a transposed convolution; any other needs none.
/// - Returns: the fused weight and bias, in the weight's type and shape.
/// - Throws: `ModelError` when the shapes do not fit or a type is not floating.
public func fuseConvAndBN(
  weight: Tensor, bias: Tensor? = nil, isTransposed: Bool = false, groups: Int = 1, normalization: BatchNormTensors
) throws -> (weight: Tensor, bias: Tensor) {
  var folding = try BatchNormFolding(
    weight: weight, bias: bias, isTransposed: isTransposed, groups: groups, normalization: normalization)
  try folding.run()
  return (folding.weight, folding.bias)
}

/// The tensors of a batch normalisation, each [features].
public struct BatchNormTensors: Sendable {
  /// Gamma; 1 when nil.
  public var weight: Tensor?
  /// Beta; 0 when nil.
  public var bias: Tensor?
  /// The mean of each channel.
  public var runningMean: Tensor
  /// The variance of each channel, biased or not as it was kept.
  public var runningVar: Tensor
  /// What is added to the variance: 1e-5 is PyTorch's default, YOLO's models use 1e-3.
  public var eps: Double

  /// Tensors of [features] each; they are checked when they are folded.
  public init(weight: Tensor?, bias: Tensor?, runningMean: Tensor, runningVar: Tensor, eps: Double) {
    self.weight = weight
    self.bias = bias
    self.runningMean = runningMean
    self.runningVar = runningVar
    self.eps = eps
  }
}

/// One fusion: prepared from the small tensors, then run over the weight.
struct BatchNormFolding {
  private(set) var weight: Tensor
  let bias: Tensor
  /// The factor of each row, a row being what belongs to one channel of the weight's outer axes.
  private let scale: [Double]

  init(
    weight: Tensor, bias: Tensor?, isTransposed: Bool, groups: Int, normalization: BatchNormTensors
  ) throws {
    let features = normalization.runningVar.count
    guard weight.dtype.kernelFormat != nil else {
      throw ModelError(.unsupported, "\(weight.dtype.rawValue) weights cannot be fused")
    }
    guard weight.shape.count >= 2, groups > 0, weight.shape[0] % groups == 0 else {
      throw ModelError(.mismatch, "a weight of shape \(weight.shape) in \(groups) groups is no convolution's")
    }
    let outputs = isTransposed ? weight.shape[1] * groups : weight.shape[0]
    let small = [normalization.weight, normalization.bias, normalization.runningMean, bias].compactMap { $0 }
    guard outputs == features, small.allSatisfy({ $0.count == features }) else {
      throw ModelError(
        .mismatch, "channel counts differ: the weight gives \(outputs), the batch norm takes \(features)")
    }
    let channels: (scale: [Double], bias: [Double])
    if weight.dtype == .float64 {
      channels = try Self.channels(Double.self, normalization, bias) { try $0.converted(to: .float64).doubles() }
    } else {
      channels = try Self.channels(Float.self, normalization, bias) { try $0.floats() }
    }
    let result = try Tensor(.float64, [features]) { bytes in
      channels.bias.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
    self.bias = try result.converted(to: bias?.dtype ?? weight.dtype)
    self.weight = weight
    if isTransposed {
      // Row (i, j) of [in, out/groups] gives output channel group(i) · out/groups + j.
      let (inputs, perGroup) = (weight.shape[0], weight.shape[1])
      scale = (0..<inputs).flatMap { input in
        let first = input / (inputs / groups) * perGroup
        return channels.scale[first..<first + perGroup]
      }
    } else {
      scale = channels.scale
    }
  }

  /// Factors and biases per channel, computed in `T` in YOLOv5's order of operations.
  private static func channels<T: BinaryFloatingPoint>(
    _ type: T.Type, _ norm: BatchNormTensors, _ bias: Tensor?, read: (Tensor) throws -> [T]
  ) throws -> (scale: [Double], bias: [Double]) {
    let mean = try read(norm.runningMean)
    let variance = try read(norm.runningVar)
    let gamma = try norm.weight.map(read) ?? mean.map { _ in 1 }
    let beta = try norm.bias.map(read) ?? mean.map { _ in 0 }
    let old = try bias.map(read) ?? mean.map { _ in 0 }
    var result: (scale: [Double], bias: [Double]) = ([], [])
    for channel in mean.indices {
      let deviation = (variance[channel] + T(norm.eps)).squareRoot()
      let scale = gamma[channel] / deviation
      let product = scale * old[channel]
      let shift = beta[channel] - gamma[channel] * mean[channel] / deviation
      result.scale.append(Double(scale))
      result.bias.append(Double(product + shift))
    }
    return result
  }

  /// Scales the weight: in place when its memory is ours alone, when read if it is still in a file.
  mutating func run() throws {
    guard let format = weight.dtype.kernelFormat, !scale.isEmpty else { return }
    let (factors, columns) = (scale, weight.count / scale.count)
    try weight.rewrite { destination, source in
      mk_scale_rows(destination, source, factors.count, columns, factors, format)
    }
  }
}
