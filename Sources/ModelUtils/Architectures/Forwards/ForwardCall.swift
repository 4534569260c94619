import ModelCore

/// A call of a module whose forward is written down: what a `Forward` works with.
///
/// Values are symbolic: calling a child or a function appends to the graph.
struct ForwardCall {
  typealias Value = Graph.Value

  let tracer: ForwardTracer
  let module: Module
  let path: String

  // MARK: The module

  func has(_ child: String) -> Bool { module[child] != nil }

  /// The dotted names of a container's children, as `m.0`, `m.1`, …
  func list(_ container: String) -> [String] { module[container]?.children.keys.map { "\(container).\($0)" } ?? [] }

  /// - Throws: `ModelError` where the attribute is missing, no number, or so large that products of two could overflow.
  func int(_ attribute: String) throws -> Int {
    guard let value = module.attributes[attribute]?.intValue, (-1 << 30...1 << 30).contains(value) else {
      throw missing(attribute)
    }
    return value
  }

  /// - Throws: `ModelError` where the attribute is missing or neither true nor false.
  func bool(_ attribute: String) throws -> Bool {
    guard let value = module.attributes[attribute]?.boolValue else { throw missing(attribute) }
    return value
  }

  /// Whether an attribute is true as Python sees it; false where it is missing.
  func isTrue(_ attribute: String) -> Bool { module.attributes[attribute].map { !$0.isEmpty } ?? false }

  func missing(_ attribute: String) -> ModelError {
    ModelError("\(module.className) has no usable attribute '\(attribute)'", subject: path)
  }

  /// The dotted path of a child.
  func path(of child: String) -> String { path.isEmpty ? child : "\(path).\(child)" }

  // MARK: Calling children

  /// The children one after the other, dotted names for grandchildren.
  func callAsFunction(_ input: Value, _ children: String...) throws -> Value { try chain(input, children) }

  func chain(_ input: Value, _ children: [String]) throws -> Value {
    try children.reduce(input) { try single(call($1, [$0]), $1) }
  }

  /// A child that takes several tensors.
  func callAsFunction(_ inputs: [Value], _ child: String) throws -> Value { try single(call(child, inputs), child) }

  /// A child that may return several.
  func call(_ child: String, _ inputs: [Value]) throws -> [Value] {
    guard let module = module[child] else {
      throw ModelError("\(self.module.className) has no child '\(child)'", subject: path)
    }
    return try tracer.call(module, path(of: child), inputs)
  }

  private func single(_ values: [Value], _ child: String) throws -> Value {
    guard values.count == 1 else {
      throw ModelError("returns \(values.count) tensors where one is expected", subject: path(of: child))
    }
    return values[0]
  }

  // MARK: Functions

  func emit(_ operation: Graph.Operation, _ inputs: [Value], isModule: Bool = false) throws -> Value {
    try tracer.graph.append(
      operation, inputs, path: path, module: isModule ? module.identity : nil, className: module.className)
  }

  func emit(_ function: Function, _ inputs: Value...) throws -> Value { try emit(.function(function), inputs) }

  /// A function that computes the same as a layer, such as `F.relu`.
  func emit(_ layer: Layer, _ input: Value) throws -> Value { try emit(.layer(layer), [input]) }

  func add(_ first: Value, _ second: Value) throws -> Value { try emit(.elementwise("add"), first, second) }
  func multiply(_ first: Value, _ second: Value) throws -> Value { try emit(.elementwise("mul"), first, second) }
  /// A function of each element that no layer stands for.
  func map(_ name: String, _ input: Value) throws -> Value { try emit(.elementwise(name), input) }
  func activate(_ kind: Activation.Kind, _ input: Value) throws -> Value {
    try emit(.activation(Activation(kind)), input)
  }
  func softmax(_ input: Value, axis: Int) throws -> Value { try emit(.softmax(Softmax(axis: axis)), input) }
  func concatenate(_ inputs: [Value], axis: Int = 1) throws -> Value {
    try emit(.function(.concatenate(axis: axis)), inputs)
  }
  func flatten(_ input: Value, start: Int = 1) throws -> Value { try emit(.flatten(Flatten(start: start)), input) }
  func mean(_ input: Value, axes: [Int], keepsAxes: Bool = false) throws -> Value {
    try emit(.reduce("mean", axes: axes, keepsAxes: keepsAxes), input)
  }
  func reshape(_ input: Value, _ extents: [Function.Extent], like other: Value...) throws -> Value {
    try emit(.function(.reshape(extents)), [input] + other)
  }
  func permute(_ input: Value, _ axes: [Int]) throws -> Value { try emit(.permute(axes), input) }
  func matrixProduct(_ first: Value, _ second: Value) throws -> Value { try emit(.matrixProduct, first, second) }

  func slice(_ input: Value, axis: Int, from start: Int = 0, to end: Int? = nil, step: Int = 1) throws -> Value {
    try emit(.slice(axis: axis, start: start, end: end, step: step), input)
  }

  /// `chunk`: equal parts of an axis.
  func chunks(_ input: Value, _ count: Int, axis: Int = 1) throws -> [Value] {
    guard (1...1024).contains(count) else { throw ModelError("cannot make \(count) parts", subject: path) }
    return try (0..<count).map { try emit(.chunk(axis: axis, index: $0, count: count), input) }
  }

  /// `split` by sizes.
  func split(_ input: Value, _ sizes: [Int], axis: Int = 1) throws -> [Value] {
    var start = 0
    return try sizes.map { size in
      guard (0...1 << 31).contains(size), start <= 1 << 40 else {
        throw ModelError("cannot split off \(size)", subject: path)
      }
      defer { start += size }
      return try slice(input, axis: axis, from: start, to: start + size)
    }
  }

  /// A parameter, buffer or grid as a tensor.
  func constant(_ shape: [Int]) throws -> Value { try emit(.constant(shape)) }
}
