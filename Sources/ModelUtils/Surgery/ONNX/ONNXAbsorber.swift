import CKernels
import ModelCheckpoints
import ModelCore

/// A convolution, its transpose, a Gemm or a MatMul whose weight is constant, and can take up what scales its output.
struct ONNXAbsorber {
  let weight: Tensor
  /// Nil where there is none.
  let bias: Tensor?
  /// How many channels its output has.
  let channels: Int
  /// How many axes its output has; nil where it is not known.
  let rank: Int?
  /// The axis of the output's channels, counted from the end.
  let axis: Int
  private let kind: Kind

  private enum Kind {
    case convolution
    case transposed(groups: Int)
    case gemm(isTransposed: Bool, beta: Double)
    case product
  }

  static let operations: Set<String> = ["Conv", "ConvTranspose", "Gemm", "MatMul"]

  /// - Parameter rank: of the node's first input; nil where it is not known.
  /// - Throws: `ONNXScaling.Refusal` for a node that cannot take anything up.
  init(_ node: ONNXNode, inputRank: Int?, _ scope: ONNXScope) throws {
    guard node.inputs.count >= 2, node.outputs.count == 1 else {
      throw ONNXScaling.Refusal(reason: "\(node.operation) does not take its inputs")
    }
    guard let weight = try scope.constant(node.inputs[1]), weight.dtype.kernelFormat != nil, weight.count > 0 else {
      throw ONNXScaling.Refusal(reason: Self.reason(node.inputs[1], "weight", scope))
    }
    self.weight = weight
    let biasName = node.inputs.count > 2 ? node.inputs[2] : ""
    bias = biasName.isEmpty ? nil : try scope.constant(biasName)
    guard biasName.isEmpty || bias?.dtype.kernelFormat != nil else {
      throw ONNXScaling.Refusal(reason: Self.reason(biasName, "bias", scope))
    }
    let shape = weight.shape
    switch node.operation {
    case "Conv":
      guard shape.count >= 3 else { throw ONNXScaling.Refusal(reason: "the weight has the shape \(shape)") }
      (kind, channels, rank, axis) = (.convolution, shape[0], shape.count, shape.count - 1)
    case "ConvTranspose":
      let groups = node.attribute("group")?.int ?? 1
      guard shape.count >= 3, groups > 0, shape[0] % groups == 0,
        case (let product, let overflow) = shape[1].multipliedReportingOverflow(by: groups), !overflow
      else { throw ONNXScaling.Refusal(reason: "the weight has the shape \(shape) for \(groups) groups") }
      (kind, channels, rank, axis) = (.transposed(groups: groups), product, shape.count, shape.count - 1)
    case "Gemm":
      guard shape.count == 2 else { throw ONNXScaling.Refusal(reason: "the weight has the shape \(shape)") }
      guard scope.opset >= 7 else {
        throw ONNXScaling.Refusal(reason: "Gemm before opset 7 broadcasts its bias by rules of its own")
      }
      let isTransposed = node.attribute("transB")?.int ?? 0 != 0
      kind = .gemm(isTransposed: isTransposed, beta: Double(node.attribute("beta")?.float ?? 1))
      (channels, rank, axis) = (shape[isTransposed ? 0 : 1], 2, 1)
    default:
      guard shape.count == 2 else {
        throw ONNXScaling.Refusal(reason: "the second factor of the product has the shape \(shape)")
      }
      (kind, channels, rank, axis) = (.product, shape[1], inputRank, 1)
    }
    if let bias, bias.count != 1, bias.shape.last != channels {
      throw ONNXScaling.Refusal(reason: "the bias has the shape \(bias.shape) for \(channels) channels")
    }
  }

  private static func reason(_ name: String, _ what: String, _ scope: ONNXScope) -> String {
    if scope.overridable.contains(name) { return "the \(what) is an input that callers may set" }
    switch scope.producer(of: name)?.operation {
    case "DequantizeLinear": return "the \(what) is quantised and made anew in every run (DequantizeLinear)"
    default: return "the \(what) is computed when the model runs"
    }
  }

  /// Whether the node itself adds a bias, once it has one.
  var takesBias: Bool { if case .product = kind { false } else { true } }

  /// What the weight and the bias become; a bias of nil stays away.
  /// - Throws: `ONNXScaling.Refusal` where a value would leave the range of its type.
  func scaled(_ scaling: ONNXScaling) throws -> (weight: Tensor, bias: Tensor?) {
    let factors = Self.spread(scaling.factors, channels)
    let summands = Self.spread(scaling.summands, channels)
    var new = weight
    if scaling.factors != [1], let format = weight.dtype.kernelFormat {
      let scales = channelFactors(factors)
      guard try scales.keepFinite(weight, format) else { throw Self.overflow(of: weight) }
      new = try scales.scaled(weight, format)
    }
    guard bias != nil || scaling.adds else { return (new, nil) }
    var beta = 1.0
    if case .gemm(_, let factor) = kind, factor != 0 { beta = factor }
    let old = try bias?.doubles() ?? [0]
    let isWhole = (bias?.shape.count ?? 0) > 1 && (bias?.count ?? 0) > channels
    let count = isWhole ? old.count : channels
    let values = (0..<count).map { index in
      let channel = index % channels
      return factors[channel] * old[old.count == 1 ? 0 : index] + summands[channel] / beta
    }
    let shape = isWhole ? bias?.shape ?? [] : [channels]
    return (new, try finite(Tensor(values, shape).converted(to: bias?.dtype ?? weight.dtype)))
  }

  private static func spread(_ values: [Double], _ count: Int) -> [Double] {
    values.count == count ? values : Array(repeating: values[0], count: count)
  }

  /// The factor of each element of the weight.
  private func channelFactors(_ factors: [Double]) -> ChannelFactors {
    let shape = weight.shape
    func rows(_ factors: [Double]) -> ChannelFactors {
      ChannelFactors(factors: factors, run: max(1, weight.count / factors.count))
    }
    switch kind {
    case .convolution: return rows(factors)
    case .transposed(let groups):
      let perGroup = shape[0] / groups
      return rows((0..<shape[0]).flatMap { factors[$0 / perGroup * shape[1]..<($0 / perGroup + 1) * shape[1]] })
    case .gemm(let isTransposed, _): return isTransposed ? rows(factors) : ChannelFactors(factors: factors, run: 1)
    case .product: return ChannelFactors(factors: factors, run: 1)
    }
  }

  private func finite(_ tensor: Tensor) throws -> Tensor {
    let isBroken = try tensor.dtype.kernelFormat.map { format in
      try tensor.withContiguousBytes { mk_has_nonfinite($0.baseAddress, tensor.count, format) }
    }
    guard isBroken == false else { throw Self.overflow(of: tensor) }
    return tensor
  }

  private static func overflow(of tensor: Tensor) -> ONNXScaling.Refusal {
    ONNXScaling.Refusal(reason: "fused it would have weights beyond the range of \(tensor.dtype.rawValue)")
  }
}
