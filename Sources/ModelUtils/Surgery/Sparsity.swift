import CKernels
import ModelCore

/// The zeros of a model: YOLOv5's `sparsity`, in all and per parameter.
///
/// Zeros of either sign are counted over all parameters, batch norms and biases included; buffers do not count.
/// What a mask of `torch.nn.utils.prune` takes out is zero (the original counts the tensor behind the mask).
public struct Sparsity: Sendable, Codable, CustomStringConvertible {
  /// A parameter, once also when it is shared.
  public struct Layer: Sendable, Codable, Hashable {
    /// The parameter's dotted name.
    public let name: String
    /// How many elements it has.
    public let elements: Int
    /// How many of them are zero, of either sign.
    public let zeros: Int
  }

  /// The elements of all parameters.
  public let elements: Int
  /// How many of them are zero, of either sign.
  public let zeros: Int
  /// Every parameter, in the model's order.
  public let layers: [Layer]
  /// The parameters whose zeros cannot be counted, such as those of 4- and 6-bit floats: they are in none of the above.
  public let notCounted: [String]

  /// zeros / elements; 0 for a model without parameters.
  public var sparsity: Double { elements == 0 ? 0 : Double(zeros) / Double(elements) }

  public var description: String { "\(zeros) of \(elements) parameters are zero" }

  /// Counts in parallel. What `known` holds is not counted again.
  init(_ parameters: [NamedWeight], known: [Int?] = []) throws {
    var jobs = parameters.enumerated().map { index, parameter in
      (parameter: parameter, zeros: known.indices.contains(index) ? known[index] : nil)
    }
    notCounted = parameters.filter { !Self.isCountable($0.tensor.dtype) }.map(\.name)
    jobs.removeAll { !Self.isCountable($0.parameter.tensor.dtype) }
    try Parallel.update(&jobs) { job in
      do { job.zeros = try job.zeros ?? Self.zeros(in: job.parameter.tensor) } catch let error as ModelError {
        throw error.about(job.parameter.name)
      }
    }
    layers = jobs.map { Layer(name: $0.parameter.name, elements: $0.parameter.tensor.count, zeros: $0.zeros ?? 0) }
    elements = layers.reduce(0) { $0 + $1.elements }
    zeros = layers.reduce(0) { $0 + $1.zeros }
  }

  private static func isCountable(_ dtype: DType) -> Bool { dtype.isConvertible || wordWidth(dtype) != nil }

  /// The bytes of an element that is zero where all its bits are.
  private static func wordWidth(_ dtype: DType) -> Int? {
    dtype.isFloatingPoint ? nil : dtype.byteWidth.flatMap { [1, 2, 4, 8].contains($0) ? $0 : nil }
  }

  /// The zeros of a tensor of a type that can be converted to float32, or that is no float.
  static func zeros(in tensor: Tensor) throws -> Int {
    let dtype = tensor.dtype
    guard isCountable(dtype) else { throw ModelError(.unsupported, "zeros of \(dtype.rawValue) cannot be counted") }
    let tensor = dtype.isConvertible && dtype.kernelFormat == nil ? try tensor.converted(to: .float32) : tensor
    return try tensor.withContiguousBytes { bytes in
      if let format = tensor.dtype.kernelFormat { return mk_count_zeros(bytes.baseAddress, tensor.count, format) }
      return mk_count_zero_words(bytes.baseAddress, tensor.count, Self.wordWidth(dtype) ?? 1)
    }
  }
}

extension NamedTensor {
  /// The tensor's zeros; an error bears its name.
  func zeros() throws -> Int {
    do { return try Sparsity.zeros(in: tensor) } catch let error as ModelError { throw error.about(name) }
  }
}

extension WeightContainer {
  /// YOLOv5's `sparsity`: the share of zeros over all parameters.
  /// - Parameter pruned: what `prune` just reported of this model, to spare counting those weights again.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public func sparsity(after pruned: PruneReport? = nil) throws -> Sparsity {
    var plain = self
    try plain.applyMasks()
    let parameters = plain.namedWeights().filter(\.isParameter)
    return try Sparsity(parameters, known: pruned.zeros(of: parameters.map(\.name)))
  }
}

extension PruneReport? {
  fileprivate func zeros(of names: [String]) -> [Int?] {
    guard let layers = self?.layers else { return [] }
    let known = Dictionary(layers.map { ($0.name, $0.zeros) }, uniquingKeysWith: { first, _ in first })
    return names.map { known[$0] }
  }
}
