import CEngine
import ModelCore

/// oneDNN, loaded when something is first computed.
enum OneDNN {
  /// - Throws: `ModelError` that says what to install.
  static func load() throws {
    var reason: UnsafePointer<CChar>?
    guard ce_load(&reason) else {
      throw ModelError(
        .missing, reason.map { String(cString: $0) } ?? "oneDNN cannot be loaded",
        advice: "install libdnnl2 (apt) or onednn (brew), with make deps")
    }
  }

  /// As many threads for what this thread computes as the library takes elsewhere.
  static func useThreads() { ce_set_threads(Int32(clamping: Parallel.threadCount)) }

  /// Whether the processor multiplies bfloat16 by itself, as far as oneDNN is allowed to use it.
  static var hasBFloat16: Bool { ce_has_bfloat16() }

  static func check(_ status: Int32, _ what: @autoclosure () -> String) throws {
    if status != 0 { throw ModelError(.system, "oneDNN: \(what()): \(String(cString: ce_status_text(status)))") }
  }
}

/// A layout as oneDNN describes it.
final class MemoryDescription: @unchecked Sendable {
  let handle: OpaquePointer

  private init(_ handle: OpaquePointer) { self.handle = handle }

  /// - Parameters:
  ///   - strides: nil lets the primitive choose.
  ///   - dtype: float32 or bfloat16.
  init(_ shape: [Int], strides: [Int]?, _ dtype: DType = .float32) throws {
    var made: OpaquePointer?
    let (lengths, type) = (shape.map(Int64.init), dtype == .bfloat16 ? CE_BFLOAT16 : CE_FLOAT32)
    let status =
      strides.map { $0.map(Int64.init) }.map { ce_layout_create(&made, Int32(shape.count), lengths, type, $0) }
      ?? ce_layout_create(&made, Int32(shape.count), lengths, type, nil)
    try OneDNN.check(status, "a tensor of shape \(shape)")
    guard let made else { throw ModelError(.system, "oneDNN made nothing") }
    handle = made
  }

  convenience init(_ layout: Layout) throws { try self.init(layout.shape, strides: layout.strides) }

  convenience init(_ placed: Placed) throws {
    try self.init(placed.layout.shape, strides: placed.layout.strides, placed.dtype)
  }

  deinit { ce_layout_destroy(handle) }

  var byteCount: Int { ce_layout_bytes(handle) }

  /// What a primitive chose for one of its arguments.
  static func of(_ op: OpaquePointer, _ argument: Int32) -> MemoryDescription? {
    ce_op_layout(op, argument).map { MemoryDescription($0) }
  }
}

/// A primitive of oneDNN for given layouts; threads may share it.
final class Primitive: @unchecked Sendable {
  private let handle: OpaquePointer

  /// - Parameter make: creates it, and gives the status.
  init(_ what: String, _ make: (inout OpaquePointer?) -> Int32) throws {
    var made: OpaquePointer?
    try OneDNN.check(make(&made), what)
    guard let made else { throw ModelError(.system, "oneDNN made no \(what)") }
    handle = made
    if implementation.contains("ref") {
      ModelLog.logger.warning("oneDNN computes a \(what) by its slow reference: \(implementation)")
    }
  }

  deinit { ce_op_destroy(handle) }

  /// Its name, such as `brgconv:avx512_core`.
  var implementation: String { String(cString: ce_op_implementation(handle)) }
  var scratchBytes: Int { ce_op_scratchpad(handle) }

  func description(of argument: ce_argument) -> MemoryDescription? {
    MemoryDescription.of(handle, Int32(argument.rawValue))
  }

  func bind(_ memory: [(argument: Int32, pointer: UnsafeMutableRawPointer)]) throws -> Binding {
    var made: OpaquePointer?
    let arguments = memory.map(\.argument)
    let pointers: [UnsafeMutableRawPointer?] = memory.map(\.pointer)
    try OneDNN.check(ce_bind(&made, handle, Int32(memory.count), arguments, pointers), "binding memory")
    guard let made else { throw ModelError(.system, "oneDNN bound nothing") }
    return Binding(made, self)
  }

  /// Runs once, from one tensor to another.
  func run(from source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer) throws {
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: max(scratchBytes, 1), alignment: Arena.alignment)
    defer { scratch.deallocate() }
    var memory = [
      (Int32(CE_SRC.rawValue), UnsafeMutableRawPointer(mutating: source)), (Int32(CE_DST.rawValue), destination),
    ]
    if scratchBytes > 0 { memory.append((Int32(CE_SCRATCHPAD.rawValue), scratch)) }
    try bind(memory).run()
  }

  /// A primitive with the memory that it runs on, which outlives it.
  final class Binding: @unchecked Sendable {
    private let handle: OpaquePointer
    private let primitive: Primitive

    fileprivate init(_ handle: OpaquePointer, _ primitive: Primitive) {
      (self.handle, self.primitive) = (handle, primitive)
    }

    deinit { ce_binding_destroy(handle) }

    func run() throws { try OneDNN.check(ce_run(handle), primitive.implementation) }
  }
}
