/// What `fuse` did and what it left alone.
public struct FusionReport: Sendable, Codable, CustomStringConvertible {
  /// A convolution and a batch norm, by their dotted paths.
  public struct Pair: Sendable, Codable, Hashable {
    /// The convolution's dotted path.
    public let conv: String
    /// The batch norm's dotted path.
    public let bn: String
  }

  /// A batch norm that stays. `conv` is the convolution that one would think of, empty where there is none.
  public struct Refusal: Sendable, Codable, Hashable {
    /// The convolution's dotted path, or empty.
    public let conv: String
    /// The batch norm's dotted path.
    public let bn: String
    /// Why it stays, in words.
    public let reason: String
  }

  /// An addition or multiplication by a constant of each channel that went into the node before it, in an ONNX model.
  public struct Absorption: Sendable, Codable, Hashable {
    /// The convolution, Gemm or MatMul, by its node's name.
    public let conv: String
    /// What went into it, by its node's name.
    public let node: String
    /// Mul, Add, Sub or Div.
    public let operation: String
  }

  /// What was fused.
  public internal(set) var fused: [Pair] = []
  /// The batch norms that stay, each with its reason.
  public internal(set) var refused: [Refusal] = []
  /// What else went into convolutions and products, in an ONNX model.
  public internal(set) var absorbed: [Absorption] = []
  /// Whether it is the caller's word, and not proved, that each batch norm takes the output of its convolution alone.
  public internal(set) var isOrderGiven = false
  /// The convolutions of a bare state dict that were scaled as transposed ones.
  public internal(set) var transposed: [String] = []
  /// Those that were taken for ordinary ones although their shapes fit a transposed one, too.
  public internal(set) var assumedOrdinary: [String] = []
  /// Elements of all parameters, shared ones once.
  public package(set) var parametersBefore = 0
  /// The same after fusing.
  public internal(set) var parametersAfter = 0

  public var description: String {
    "Fused \(fused.count) batch norms"
      + (absorbed.isEmpty ? "" : " and \(absorbed.count) additions and multiplications")
      + ", \(parametersBefore) -> \(parametersAfter) parameters"
      + (refused.isEmpty ? "" : "; \(refused.count) left as they are")
  }
}
