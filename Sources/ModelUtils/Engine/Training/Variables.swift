import ModelCore
import ModelGraph

/// The weights that training changes, in memory of their own, with room for their gradients: what plans of several
/// batch sizes read and write where it lies. One thread at a time.
///
/// Parameters lie one behind the other in the graph's order, and gradients in the same places of other memory; what a
/// tensor begins with is aligned, so that between two of them up to 60 bytes are unused and 0.
public final class Variables {
  /// Where a tensor lies.
  struct Slot {
    let type: TensorType
    /// In bytes, in the memory of the parameters and of the gradients alike.
    let offset: Int
    let isParameter: Bool
  }

  private(set) var slots: OrderedDictionary<String, Slot> = [:]
  let values: Arena
  let gradients: Arena
  /// Sums of gradients of batches before the last; made when there are two.
  private var kept: Arena?

  /// Memory for the weights that change, with their first values in it.
  ///
  /// - Parameters:
  ///   - weights: with their first values.
  ///   - parameters: the paths of those that have gradients.
  ///   - others: the paths of those that change besides, such as running statistics.
  /// - Throws: `ModelError` for a path without a weight, and for more memory than the machine has.
  public init(_ weights: OrderedDictionary<String, Graph.Weight>, parameters: [String], others: [String]) throws {
    var end = 0
    var parameterEnd = 0
    for (index, path) in (parameters + others).enumerated() {
      guard let weight = weights[path] else { throw ModelError(.missing, "is no weight of the graph", subject: path) }
      guard slots[path] == nil else { continue }
      slots[path] = Slot(
        type: TensorType(weight.tensor.dtype, weight.tensor.shape), offset: end, isParameter: index < parameters.count)
      end += (weight.tensor.byteCount + Arena.alignment - 1) / Arena.alignment * Arena.alignment
      if index < parameters.count { parameterEnd = end }
    }
    values = try Arena(byteCount: end)
    gradients = try Arena(byteCount: parameterEnd)
    values.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: end)
    gradients.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: parameterEnd)
    for (path, slot) in slots { try weights[path].map { try put($0.tensor, at: slot) } }
  }

  /// The paths of the parameters, in their order in memory.
  public var parameters: [String] { slots.filter(\.value.isParameter).map(\.key) }
  /// The paths of all, the parameters first.
  public var paths: [String] { Array(slots.keys) }

  /// Whether a path is a parameter's.
  public func isParameter(_ path: String) -> Bool { slots[path]?.isParameter == true }

  /// Calls `body` with the elements of a tensor of float32 where they lie; does nothing for any other.
  public func withFloats(of path: String, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
    guard let slot = slots[path], slot.type.dtype == .float32 else { return }
    try body(
      UnsafeMutableBufferPointer(
        start: (values.pointer + slot.offset).assumingMemoryBound(to: Float.self), count: slot.type.shape.reduce(1, *)))
  }

  /// A copy of a tensor as it is now.
  public subscript(path: String) -> Tensor? {
    guard let slot = slots[path] else { return nil }
    return try? tensor(slot, in: values)
  }

  /// A copy of a parameter's gradient of the last run.
  public func gradient(of path: String) throws -> Tensor {
    guard let slot = slots[path], slot.isParameter else {
      throw ModelError(.missing, "has no gradient", subject: path)
    }
    return try tensor(slot, in: gradients)
  }

  /// Puts other values into a tensor's place.
  /// - Throws: `ModelError` for another type or shape, and a path that there is not.
  public func set(_ path: String, _ tensor: Tensor) throws {
    guard let slot = slots[path] else { throw ModelError(.missing, "is no weight that is trained", subject: path) }
    try put(tensor, at: slot)
  }

  private func put(_ tensor: Tensor, at slot: Slot, in arena: Arena? = nil) throws {
    guard tensor.shape == slot.type.shape, tensor.dtype == slot.type.dtype else {
      throw ModelError(.mismatch, "is \(tensor.dtype.rawValue) \(tensor.shape), not \(slot.type)")
    }
    try tensor.copyBytes(
      to: UnsafeMutableRawBufferPointer(start: (arena ?? values).pointer + slot.offset, count: tensor.byteCount))
  }

  private func tensor(_ slot: Slot, in arena: Arena) throws -> Tensor {
    try Tensor(slot.type.dtype, slot.type.shape) { bytes in
      if let base = bytes.baseAddress { base.copyMemory(from: arena.pointer + slot.offset, byteCount: bytes.count) }
    }
  }

  // MARK: Gradients of several batches

  /// Keeps the gradients of the last run, before another makes its own.
  /// - Parameter adding: whether they are added to what is kept, rather than replacing it.
  /// - Throws: `ModelError` for more memory than the machine has.
  public func keepGradients(adding: Bool) throws {
    let arena = try kept ?? Arena(byteCount: gradients.byteCount)
    kept = arena
    if adding {
      Self.add(gradients, to: arena)
    } else {
      arena.pointer.copyMemory(from: gradients.pointer, byteCount: gradients.byteCount)
    }
  }

  /// Adds what is kept to the gradients of the last run.
  public func addKeptGradients() {
    if let kept { Self.add(kept, to: gradients) }
  }

  /// A copy of a parameter's gradient of the last run, with what is kept of those before.
  public func gradientSum(of path: String, withKept: Bool) throws -> Tensor {
    let last = try gradient(of: path)
    guard withKept, let kept, let slot = slots[path] else { return last }
    let sums = try zip(tensor(slot, in: kept).floats(), last.floats()).map { $0 + $1 }
    return try Tensor(sums, last.shape)
  }

  /// Puts other values into the place of a parameter's gradient.
  /// - Throws: `ModelError` for another type or shape, and a path that there is not.
  public func setGradient(of path: String, _ tensor: Tensor) throws {
    guard let slot = slots[path], slot.isParameter else {
      throw ModelError(.missing, "has no gradient", subject: path)
    }
    try put(tensor, at: slot, in: gradients)
  }

  private static func add(_ source: Arena, to target: Arena) {
    let count = source.byteCount / MemoryLayout<Float>.stride
    nonisolated(unsafe) let (values, sums) = (
      source.pointer.assumingMemoryBound(to: Float.self), target.pointer.assumingMemoryBound(to: Float.self)
    )
    let block = 1 << 16
    Parallel.forEach((count + block - 1) / block) { index in
      for place in index * block..<min(count, (index + 1) * block) { sums[place] += values[place] }
    }
  }

  // MARK: Ranks

  /// Takes rank 0's values.
  /// - Parameter statisticsAlone: whether parameters are left out.
  /// - Throws: as `Communicator.broadcast`.
  public func broadcast(_ ranks: RankExchange, statisticsAlone: Bool = false) throws {
    let start = statisticsAlone ? gradients.byteCount : 0
    let bytes = UnsafeMutableRawBufferPointer(start: values.pointer + start, count: values.byteCount - start)
    try ranks.communicator.broadcast(bytes, from: 0, timeout: ranks.timeout)
  }

  /// Whether all ranks hold the same bits.
  /// - Throws: as `Communicator.maximum`.
  public func areEqual(on ranks: RankExchange) throws -> Bool {
    var sum: UInt64 = 0xcbf2_9ce4_8422_2325
    for word in UnsafeRawBufferPointer(start: values.pointer, count: values.byteCount).bindMemory(to: UInt32.self) {
      sum = (sum ^ UInt64(word)) &* 0x100_0000_01b3
    }
    let mine = Int32(truncatingIfNeeded: sum ^ sum >> 32)
    let most = try ranks.communicator.maximum(mine, timeout: ranks.timeout)
    return try ranks.communicator.maximum(~mine, timeout: ranks.timeout) == ~most
  }

  // MARK: In place

  /// A parameter's elements where they lie, and its gradient's: valid while the variables are.
  /// - Throws: `ModelError` for a path without a gradient, or of another type than float32.
  public func floats(of path: String) throws -> (
    values: UnsafeMutableBufferPointer<Float>, gradient: UnsafeMutableBufferPointer<Float>
  ) {
    guard let slot = slots[path], slot.isParameter, slot.type.dtype == .float32 else {
      throw ModelError(.mismatch, "is no parameter of float32", subject: path)
    }
    let count = slot.type.shape.reduce(1, *)
    return (
      UnsafeMutableBufferPointer(
        start: (values.pointer + slot.offset).assumingMemoryBound(to: Float.self), count: count),
      UnsafeMutableBufferPointer(
        start: (gradients.pointer + slot.offset).assumingMemoryBound(to: Float.self), count: count)
    )
  }
}
