import ModelCore
import ModelGraph

/// What rules are written with.
extension Differentiation {
  typealias Value = Graph.Value

  /// Appends an operation of one result.
  mutating func emit(_ operation: Operation, _ operands: Value...) throws -> Value {
    try graph.append(operation, operands, scope: scope)[0]
  }

  /// Appends an operation and gives all its results.
  mutating func emitAll(_ operation: Operation, _ operands: [Value]) throws -> [Value] {
    try graph.append(operation, operands, scope: scope)
  }

  /// A scalar of a type, the same value for the same number.
  mutating func constant(_ number: Double, _ dtype: DType) throws -> Value {
    let key = ConstantKey(number: number, dtype: dtype)
    if let known = constants[key] { return known }
    let value = graph.addConstant(try ReferenceArray(TensorType(dtype, []), [number]).tensor())
    constants[key] = value
    return value
  }

  /// Whole numbers.
  mutating func constant(integers: [Int], _ shape: [Int]) throws -> Value {
    graph.addConstant(try ReferenceArray(TensorType(.int64, shape), integers.map(Double.init)).tensor())
  }

  /// A number, as many times as a value of the forward has elements.
  mutating func filled(_ number: Double, like value: Value) throws -> Value {
    try expanded(try constant(number, types[value].dtype), to: types[value].shape)
  }

  mutating func expanded(_ value: Value, to shape: [Int]) throws -> Value {
    shape.isEmpty ? value : try emit(.expand(shape.map { .fixed($0) }), value)
  }

  mutating func reshaped(_ value: Value, to shape: [Int]) throws -> Value {
    try emit(.reshape(shape.map { .fixed($0) }), value)
  }

  mutating func scaled(_ value: Value, by number: Double, _ dtype: DType) throws -> Value {
    number == 1 ? value : try emit(.binary(.multiply), value, try constant(number, dtype))
  }

  /// A gradient of a broadcast operand: summed over what was repeated, in the operand's type.
  /// - Parameter shape: the gradient's own.
  mutating func reduced(_ gradient: Value, _ type: TensorType, to operand: Value) throws -> Value {
    let wanted = types[operand]
    var result = gradient
    if type.shape != wanted.shape {
      let leading = type.shape.count - wanted.shape.count
      let axes = type.shape.indices.filter { axis in
        axis < leading || (wanted.shape[axis - leading] == 1 && type.shape[axis] != 1)
      }
      if !axes.isEmpty { result = try emit(.reduce(.sum, axes: axes, keepsAxes: true), result) }
      if leading > 0 { result = try reshaped(result, to: wanted.shape) }
    }
    return type.dtype == wanted.dtype ? result : try emit(.convert(wanted.dtype), result)
  }

  func shape(_ value: Value) -> [Int] { types[value].shape }

  func axis(_ axis: Int, _ value: Value) -> Int { axis < 0 ? axis + shape(value).count : axis }

  func noRule(_ what: String) -> ModelError {
    ModelError(.unsupported, "\(what) has no gradient here", advice: "do not train what stands before it")
  }
}
