import CKernels
import ModelCore
import ModelGraph
import Synchronization

/// Arithmetic on types that have no kernels of their own: whole numbers as Int64, which wrap around as PyTorch's do, all
/// others as Double.
protocol Number: Comparable, Sendable {
  /// Reads elements of a type, and writes them.
  static func load(
    _ dtype: DType, _ from: UnsafeRawPointer, _ step: Int, _ to: UnsafeMutablePointer<Self>, _ count: Int)
  static func store(
    _ dtype: DType, _ from: UnsafePointer<Self>, _ to: UnsafeMutableRawPointer, _ step: Int, _ count: Int)
  static var zero: Self { get }
}

extension Compiler {
  /// A function of each element of another type than float32.
  mutating func numbers(of function: Unary, _ node: Graph.Node) throws {
    let isWhole = types[node.results[0]].dtype.isInteger
    let operands = [try place(node.operands[0])]
    if isWhole {
      try rows(node, operands, "\(function)") { (x: Int64, _: Int64) in function.whole(x) }
    } else {
      try rows(node, operands, "\(function)") { (x: Double, _: Double) in function(x) }
    }
  }

  mutating func numbers(of function: Binary, _ node: Graph.Node) throws {
    let operands = try node.operands.map { try place($0) }
    if types[node.results[0]].dtype.isInteger {
      try rows(node, operands, function.rawValue) { (a: Int64, b: Int64) in function.whole(a, b) }
    } else {
      try rows(node, operands, function.rawValue) { (a: Double, b: Double) in function(a, b) }
    }
  }

  mutating func numbers(of comparison: Comparison, _ node: Graph.Node) throws {
    let operands = try node.operands.map { try place($0) }
    if node.operands.allSatisfy({ types[$0].dtype.isInteger }) {
      try rows(node, operands, comparison.rawValue) { (a: Int64, b: Int64) in comparison(a, b) ? 1 : 0 }
    } else {
      try rows(node, operands, comparison.rawValue) { (a: Double, b: Double) in comparison(a, b) ? 1 : 0 }
    }
  }

  /// Times 0: what is no number stays none.
  mutating func zeroed(_ node: Graph.Node) throws {
    try rows(node, [place(node.operands[0])], "dropout") { (x: Double, _: Double) in x * 0 }
  }

  /// A value in another type; itself where it has that.
  mutating func converted(_ placed: Placed, to dtype: DType, path: String = "") -> Placed {
    if placed.dtype == dtype { return placed }
    let result = allocate(.ordered(placed.layout.shape, placed.layout.order), dtype)
    convert(placed, to: result, path: path)
    return result
  }

  /// PyTorch's `to(dtype)`: toward zero, NaN to 0; to bool whether it is not 0.
  mutating func convert(_ source: Placed, to result: Placed, path: String) {
    let isWhole = source.dtype.isInteger && result.dtype.isInteger
    let walk = Walk([result.layout, source.layout])
    let (from, to) = (source.dtype, result.dtype)
    add(path, "convert", "own", reads: [source], writes: [result]) { memory in
      let rows = NumberRows(
        walk: walk, result: (memory.pointer(result), to), operands: [(memory.pointer(source), from)])
      return {
        isWhole ? rows.run { (x: Int64, _: Int64) in x } : rows.run { (x: Double, _: Double) in x }
        try rows.check()
      }
    }
  }

  private mutating func rows<N: Number>(
    _ node: Graph.Node, _ operands: [Placed], _ name: String, _ function: @escaping @Sendable (N, N) -> N?
  ) throws {
    let (walk, result) = broadcast(operands, node)
    add(node, name, "own", reads: operands, writes: [result]) { memory in
      let rows = NumberRows(
        walk: walk, result: (memory.pointer(result), result.dtype),
        operands: operands.map { (memory.pointer($0), $0.dtype) })
      return {
        rows.run(function)
        try rows.check()
      }
    }
  }
}

/// Rows of one or two operands of any types.
private final class NumberRows: @unchecked Sendable {
  private let walk: Walk
  private let result: (pointer: UnsafeMutableRawPointer, dtype: DType)
  private let operands: [(pointer: UnsafeMutableRawPointer, dtype: DType)]
  private let hasFailed = Atomic(false)
  /// Elements that are read and written at a time.
  private static let block = 512

  init(
    walk: Walk, result: (UnsafeMutableRawPointer, DType), operands: [(UnsafeMutableRawPointer, DType)]
  ) { (self.walk, self.result, self.operands) = (walk, result, operands) }

  /// - Throws: `ModelError` where a function had no value.
  func check() throws {
    if hasFailed.exchange(false, ordering: .relaxed) {
      throw ModelError(.invalid, "divides a whole number by 0, or raises it to a negative power")
    }
  }

  func run<N: Number>(_ function: @Sendable (N, N) -> N?) {
    walk.forEachPlane { starts, plane in
      withUnsafeTemporaryAllocation(of: N.self, capacity: 2 * Self.block) { buffer in
        guard let x = buffer.baseAddress else { return }
        let y = x + Self.block
        let isPair = operands.count > 1
        y.update(repeating: .zero, count: Self.block)
        for row in 0..<plane.rows {
          for begin in stride(from: 0, to: plane.columns, by: Self.block) {
            let count = min(Self.block, plane.columns - begin)
            let from = starts[1] + row * plane.row.1 + begin * plane.column.1
            let (first, second) = (operands[0], operands[isPair ? 1 : 0])
            N.load(first.dtype, first.pointer + from * (first.dtype.byteWidth ?? 1), plane.column.1, x, count)
            if isPair {
              let other = starts[2] + row * plane.row.2 + begin * plane.column.2
              N.load(second.dtype, second.pointer + other * (second.dtype.byteWidth ?? 1), plane.column.2, y, count)
            }
            for index in 0..<count {
              if let value = function(x[index], y[index]) {
                x[index] = value
              } else {
                x[index] = .zero
                hasFailed.store(true, ordering: .relaxed)
              }
            }
            let to = starts[0] + row * plane.row.0 + begin * plane.column.0
            N.store(result.dtype, x, result.pointer + to * (result.dtype.byteWidth ?? 1), plane.column.0, count)
          }
        }
      }
    }
  }
}

// MARK: Elements as numbers

extension Int64: Number {
  static func load(
    _ dtype: DType, _ from: UnsafeRawPointer, _ step: Int, _ to: UnsafeMutablePointer<Int64>, _ count: Int
  ) {
    func read<E: FixedWidthInteger>(_: E.Type) {
      let from = from.assumingMemoryBound(to: E.self)
      for index in 0..<count { to[index] = Int64(truncatingIfNeeded: from[index * step]) }
    }
    switch dtype {
    case .int64, .uint64: read(Int64.self)
    case .int32: read(Int32.self)
    case .int16: read(Int16.self)
    case .int8: read(Int8.self)
    case .uint32: read(UInt32.self)
    case .uint16: read(UInt16.self)
    default: read(UInt8.self)
    }
  }

  static func store(
    _ dtype: DType, _ from: UnsafePointer<Int64>, _ to: UnsafeMutableRawPointer, _ step: Int, _ count: Int
  ) {
    func write<E: FixedWidthInteger>(_: E.Type) {
      let to = to.assumingMemoryBound(to: E.self)
      for index in 0..<count { to[index * step] = E(truncatingIfNeeded: from[index]) }
    }
    switch dtype {
    case .int64, .uint64: write(Int64.self)
    case .int32, .uint32: write(Int32.self)
    case .int16, .uint16: write(Int16.self)
    case .int8, .uint8: write(Int8.self)
    default:
      let to = to.assumingMemoryBound(to: UInt8.self)
      for index in 0..<count { to[index * step] = from[index] == 0 ? 0 : 1 }
    }
  }
}

extension Double: Number {
  static func load(
    _ dtype: DType, _ from: UnsafeRawPointer, _ step: Int, _ to: UnsafeMutablePointer<Double>, _ count: Int
  ) {
    func read<E>(_: E.Type, _ number: (E) -> Double) {
      let from = from.assumingMemoryBound(to: E.self)
      for index in 0..<count { to[index] = number(from[index * step]) }
    }
    switch dtype {
    case .float64: read(Double.self) { $0 }
    case .float32: read(Float.self) { Double($0) }
    case .int64: read(Int64.self) { Double($0) }
    case .uint64: read(UInt64.self) { Double($0) }
    case .int32: read(Int32.self) { Double($0) }
    case .uint32: read(UInt32.self) { Double($0) }
    case .int16: read(Int16.self) { Double($0) }
    case .uint16: read(UInt16.self) { Double($0) }
    case .int8: read(Int8.self) { Double($0) }
    case .uint8, .bool: read(UInt8.self) { Double($0) }
    default:
      guard let format = dtype.kernelFormat, let width = dtype.byteWidth else { return }
      if step == 1 { return mk_convert(to, MK_FLOAT64, from, format, count) }
      for index in 0..<count { mk_convert(to + index, MK_FLOAT64, from + index * step * width, format, 1) }
    }
  }

  static func store(
    _ dtype: DType, _ from: UnsafePointer<Double>, _ to: UnsafeMutableRawPointer, _ step: Int, _ count: Int
  ) {
    func write<E>(_: E.Type, _ element: (Double) -> E) {
      let to = to.assumingMemoryBound(to: E.self)
      for index in 0..<count { to[index * step] = element(from[index]) }
    }
    switch dtype {
    case .float64: write(Double.self) { $0 }
    case .float32: write(Float.self) { Float($0) }
    case .bool: write(UInt8.self) { $0 == 0 ? 0 : 1 }
    case .uint64: write(UInt64.self) { $0 >= 0x1p63 && $0 < 0x1p64 ? UInt64($0) : UInt64(bitPattern: $0.whole) }
    case .int64: write(Int64.self) { $0.whole }
    case .int32, .uint32: write(Int32.self) { Int32(truncatingIfNeeded: $0.whole) }
    case .int16, .uint16: write(Int16.self) { Int16(truncatingIfNeeded: $0.whole) }
    case .int8, .uint8: write(Int8.self) { Int8(truncatingIfNeeded: $0.whole) }
    default:
      guard let format = dtype.kernelFormat, let width = dtype.byteWidth else { return }
      if step == 1 { return mk_convert(to, format, from, MK_FLOAT64, count) }
      for index in 0..<count { mk_convert(to + index * step * width, format, from + index, MK_FLOAT64, 1) }
    }
  }

  /// Toward zero; NaN is 0, and what is beyond an Int64 the least one, which is what x86 and so PyTorch make of it.
  fileprivate var whole: Int64 { isNaN ? 0 : abs(self) < 0x1p63 ? Int64(self) : .min }
}

extension Unary {
  /// Its value at a whole number, where that is one.
  fileprivate func whole(_ x: Int64) -> Int64 {
    switch self {
    case .abs: x < 0 ? 0 &- x : x
    case .negate: 0 &- x
    case .square: x &* x
    case .ceil, .floor, .round: x
    case .bitwiseNot: ~x
    // The others compare with numbers that may have fractions.
    default: Double(self(Double(x))).whole
    }
  }
}
