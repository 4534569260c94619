import CKernels
import ModelCore

/// The element types that an optimizer works on: Float, as training does, and Double, for tests that cannot be fooled.
public protocol OptimizedScalar: BinaryFloatingPoint, TensorElement {}

extension Float: OptimizedScalar {}
extension Double: OptimizedScalar {}

extension OptimizedScalar {
  /// The kernels' name of the type.
  static var format: mk_float { dtype == .float64 ? MK_FLOAT64 : MK_FLOAT32 }
}

/// What an optimizer keeps of one parameter, in the order of its elements.
struct ParameterState<Scalar: OptimizedScalar>: Sendable {
  /// How many steps it has had.
  var step = 0
  /// Whether what stands in the first place has had none.
  private var isFirst = false
  let count: Int
  /// By the places in `OptimizerRule.stateNames`.
  private(set) var buffers: [StateMemory<Scalar>?] = [nil, nil, nil]

  init(count: Int) { self.count = count }

  /// Memory of its own for each named place, zeros where there was none.
  mutating func prepare(_ names: [String?]) throws {
    for (place, name) in names.enumerated() where name != nil {
      if buffers[place] == nil {
        buffers[place] = try StateMemory(count: count)
        if place == 0 { isFirst = true }
      } else if !isKnownUniquelyReferenced(&buffers[place]) {
        buffers[place] = try buffers[place].map { try StateMemory(copying: $0) }
      }
    }
  }

  /// Counts a step.
  /// - Returns: whether it is the first of what stands in the first place.
  mutating func begin() -> Bool {
    defer { isFirst = false }
    step += 1
    return isFirst
  }

  mutating func set(_ place: Int, to tensor: Tensor) throws {
    let memory = try StateMemory<Scalar>(count: count)
    try tensor.converted(to: Scalar.dtype).copyBytes(
      to: UnsafeMutableRawBufferPointer(start: memory.start, count: count * MemoryLayout<Scalar>.stride))
    buffers[place] = memory
  }

  func tensor(_ place: Int) throws -> Tensor? {
    try buffers[place].map { memory in
      try Tensor(Scalar.dtype, [count]) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: memory.start, count: $0.count))
      }
    }
  }
}

/// Aligned memory for the elements of one state.
final class StateMemory<Scalar: OptimizedScalar>: @unchecked Sendable {
  let start: UnsafeMutablePointer<Scalar>
  let count: Int

  init(count: Int) throws {
    try Storage.checkMemory(count, elementSize: MemoryLayout<Scalar>.stride)
    let bytes = max(1, count) * MemoryLayout<Scalar>.stride
    let memory = try AlignedMemory.allocate(bytes)
    start = memory.baseAddress!.initializeMemory(as: Scalar.self, repeating: 0, count: max(1, count))
    self.count = count
  }

  convenience init(copying other: StateMemory) throws {
    try self.init(count: other.count)
    start.update(from: other.start, count: count)
  }

  deinit { AlignedMemory.free(start) }
}
