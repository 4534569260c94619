import CKernels
import ModelCore

/// The zeros of a model: YOLOv5's `sparsity`, in all and per parameter.
///
/// Zeros of either sign are counted over all parameters, batch norms and biases included; buffers do not count.
public struct Sparsity: Sendable, Codable, CustomStringConvertible {
  /// A parameter, once also when it is shared.
  public struct Layer: Sendable, Codable, Hashable {
    public let name: String
    public let elements: Int
    public let zeros: Int
  }

  public let elements: Int
  public let zeros: Int
  public let layers: [Layer]

  /// zeros / elements; 0 for a model without parameters.
  public var sparsity: Double { elements == 0 ? 0 : Double(zeros) / Double(elements) }

  public var description: String { "\(zeros) of \(elements) parameters are zero" }

  /// Counts in parallel. What `known` holds is not counted again.
  init(_ parameters: [(name: String, tensor: Tensor)], known: [Int?] = []) throws {
    var jobs = parameters.enumerated().map { index, parameter in
      (parameter: parameter, zeros: known.indices.contains(index) ? known[index] : nil)
    }
    try Parallel.update(&jobs) { job in
      if job.zeros == nil { job.zeros = try Self.zeros(in: job.parameter.tensor) }
    }
    layers = jobs.map { Layer(name: $0.parameter.name, elements: $0.parameter.tensor.count, zeros: $0.zeros ?? 0) }
    elements = layers.reduce(0) { $0 + $1.elements }
    zeros = layers.reduce(0) { $0 + $1.zeros }
  }

  /// The zeros of a tensor of any type.
  static func zeros(in tensor: Tensor) throws -> Int {
    try tensor.withContiguousBytes { bytes in
      if let format = tensor.dtype.kernelFormat { return mk_count_zeros(bytes.baseAddress, tensor.count, format) }
      guard let width = tensor.dtype.byteWidth, [1, 2, 4, 8].contains(width), !tensor.dtype.isFloatingPoint else {
        throw ModelError("zeros of \(tensor.dtype.rawValue) cannot be counted")
      }
      return mk_count_zero_words(bytes.baseAddress, tensor.count, width)
    }
  }
}

extension Module {
  /// YOLOv5's `sparsity`: the share of zeros over all parameters.
  /// - Parameter pruned: what `prune` just reported of this module, to spare counting those weights again.
  public func sparsity(after pruned: PruneReport? = nil) throws -> Sparsity {
    var parameters: [(name: String, tensor: Tensor)] = []
    forEachParameter { parameters.append(($0, $1.tensor)) }
    return try Sparsity(parameters, known: pruned.zeros(of: parameters.map(\.name)))
  }
}

extension StateDict {
  /// The share of zeros over the entries that are parameters: floating ones that are no running statistics. Tied ones
  /// count once.
  public func sparsity(after pruned: PruneReport? = nil) throws -> Sparsity {
    var seen: Set<Tensor.Identity> = []
    let parameters = tensors.filter {
      Self.isParameter($0.key, $0.value) && ($0.value.count == 0 || seen.insert($0.value.identity).inserted)
    }.map { (name: $0.key, tensor: $0.value) }
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

extension Model {
  /// The share of zeros over all parameters.
  public func sparsity(after pruned: PruneReport? = nil) throws -> Sparsity {
    switch self {
    case .module(let module): try module.sparsity(after: pruned)
    case .stateDict(let state): try state.sparsity(after: pruned)
    }
  }
}
