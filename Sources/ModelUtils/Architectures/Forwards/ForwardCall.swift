import ModelCore
import ModelGraph

/// A call of a module whose forward is written down: what a `Forward` works with.
///
/// Values are symbolic: calling a child or a function appends to the graph. What throws throws a `ModelError` that names
/// the module; a forward lets it pass.
public struct ForwardCall {
  /// A symbolic tensor.
  public typealias Value = Graph.Value

  let tracer: ForwardTracer
  /// The module that is called, with its attributes, parameters, buffers and children.
  public let module: Module
  /// Its dotted path; empty for the root.
  public let path: String
  let scope: Int

  /// Whether the graph is traced for training.
  public var isTraining: Bool { tracer.mode == .training }

  // MARK: The module

  /// Whether there is a child of that name, dotted names for grandchildren.
  public func has(_ child: String) -> Bool { module[child] != nil }

  /// The dotted names of a container's children, as `m.0`, `m.1`, …
  public func list(_ container: String) -> [String] {
    module[container]?.children.keys.map { "\(container).\($0)" } ?? []
  }

  /// A whole number among the attributes.
  /// - Throws: `ModelError` where the attribute is missing, no number, or so large that products of two could overflow.
  public func int(_ attribute: String) throws -> Int {
    guard let value = module.attributes[attribute]?.intValue, (-1 << 30...1 << 30).contains(value) else {
      throw missing(attribute)
    }
    return value
  }

  /// A list of whole numbers, or one.
  /// - Throws: `ModelError` where the attribute is missing, something else, or too large for products of two.
  public func ints(_ attribute: String) throws -> [Int] {
    guard let value = module.attributes[attribute], let values = value.intValue.map({ [$0] }) ?? value.intsValue,
      values.allSatisfy({ (-1 << 30...1 << 30).contains($0) })
    else { throw missing(attribute) }
    return values
  }

  /// A number for both axes of a picture, or one for each.
  public func pair(_ attribute: String) throws -> [Int] {
    let values = try ints(attribute)
    guard values.count == 1 || values.count == 2 else { throw missing(attribute) }
    return values.count == 1 ? [values[0], values[0]] : values
  }

  /// A text among the attributes.
  /// - Throws: `ModelError` where the attribute is missing or no text.
  public func string(_ attribute: String) throws -> String {
    guard let value = module.attributes[attribute]?.stringValue else { throw missing(attribute) }
    return value
  }

  /// True or false among the attributes.
  /// - Throws: `ModelError` where the attribute is missing or neither true nor false.
  public func bool(_ attribute: String) throws -> Bool {
    guard let value = module.attributes[attribute]?.boolValue else { throw missing(attribute) }
    return value
  }

  /// A number among the attributes.
  /// - Throws: `ModelError` where the attribute is missing or no number.
  public func double(_ attribute: String) throws -> Double {
    guard let value = module.attributes[attribute]?.doubleValue else { throw missing(attribute) }
    return value
  }

  /// A list or tensor of numbers, also one that is a buffer.
  /// - Throws: `ModelError` where the attribute is missing or something else.
  public func doubles(_ attribute: String) throws -> [Double] {
    if let buffer = module.buffers[attribute] { return try buffer.doubles() }
    guard let values = module.attributes[attribute]?.doublesValue else { throw missing(attribute) }
    return values
  }

  /// Whether an attribute is true as Python sees it; false where it is missing.
  public func isTrue(_ attribute: String) -> Bool { module.attributes[attribute].map { !$0.isEmpty } ?? false }

  /// The error for an attribute, weight or child that is missing, or that has a value nobody knows.
  public func missing(_ attribute: String) -> ModelError {
    ModelError(.missing, "\(module.className) has no usable attribute '\(attribute)'", subject: path)
  }

  /// The dotted path of a child.
  public func path(of child: String) -> String { dotted(path, child) }

  /// The one tensor that a forward takes.
  public func only(_ inputs: [Value]) throws -> Value {
    guard inputs.count == 1 else { throw ModelError(.mismatch, "takes one tensor, not \(inputs.count)", subject: path) }
    return inputs[0]
  }

  /// Checks how many inputs came.
  /// - Throws: `ModelError` where there are not as many as a forward takes.
  public func check(_ inputs: [Value], count: Int) throws {
    guard inputs.count == count else {
      throw ModelError(.mismatch, "takes \(count) tensors, not \(inputs.count)", subject: path)
    }
  }

  /// The shape of a value, for the inputs that the graph is traced for: it then holds for them alone.
  /// - Throws: `ModelError` where it is traced for every size.
  public func shape(of value: Value) throws -> [Int] { try tracer.shape(of: value, for: module, path) }

  // MARK: Weights

  /// A parameter or buffer of the module itself; nil where it has none of that name.
  public func optionalWeight(_ name: String) -> Value? { tracer.weight(name, of: module, path) }

  /// A parameter or buffer, of a child when the name has dots.
  /// - Throws: `ModelError` where there is none.
  public func weight(_ name: String) throws -> Value {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else {
      return try optionalWeight(name) ?? { throw missing(name) }()
    }
    let owner = String(name[..<dot])
    guard let child = module[owner],
      let value = tracer.weight(String(name[name.index(after: dot)...]), of: child, path(of: owner))
    else { throw missing(name) }
    return value
  }

  // MARK: Calling children

  /// The children one after the other, dotted names for grandchildren.
  public func callAsFunction(_ input: Value, _ children: String...) throws -> Value { try chain(input, children) }

  /// The children one after the other, by their names.
  public func chain(_ input: Value, _ children: [String]) throws -> Value {
    try children.reduce(input) { try single(call($1, [$0]), $1) }
  }

  /// A child that takes several tensors.
  public func callAsFunction(_ inputs: [Value], _ child: String) throws -> Value {
    try single(call(child, inputs), child)
  }

  /// A child that may return several.
  public func call(_ child: String, _ inputs: [Value]) throws -> [Value] {
    guard let module = module[child] else {
      throw ModelError(.missing, "\(self.module.className) has no child '\(child)'", subject: path)
    }
    return try tracer.call(module, path(of: child), inputs, from: scope)
  }

  private func single(_ values: [Value], _ child: String) throws -> Value {
    guard values.count == 1 else {
      throw ModelError(.mismatch, "returns \(values.count) tensors where one is expected", subject: path(of: child))
    }
    return values[0]
  }

  /// A child whose forward is written down here because it calls children of this module: its call is noted.
  public func inline(_ child: String, _ inputs: [Value], _ body: (ForwardCall) throws -> [Value]) throws -> [Value] {
    guard let module = module[child] else { throw missing(child) }
    let path = path(of: child)
    tracer.touch(module, path)
    let scope = try tracer.graph.enter(
      path, className: module.className, module: module.identity, parent: self.scope, inputs: inputs)
    let outputs = try body(ForwardCall(tracer: tracer, module: module, path: path, scope: scope))
    tracer.graph.leave(scope, outputs: outputs)
    return outputs
  }

  /// Notes that a child is no part of the graph, where there is one.
  public func omit(_ child: String, _ reason: String) {
    guard let module = module[child] else { return }
    tracer.graph.omit(path(of: child), className: module.className, reason: reason)
  }

  // MARK: Operations

  /// Appends an operation of one result.
  public func emit(_ operation: Operation, _ operands: Value...) throws -> Value { try emit(operation, operands) }

  /// Appends an operation of one result.
  public func emit(_ operation: Operation, _ operands: [Value]) throws -> Value {
    guard operation.resultCount == 1 else { throw ModelError(.mismatch, "gives several results", subject: path) }
    return try emitAll(operation, operands)[0]
  }

  /// Appends an operation of several results.
  public func emitAll(_ operation: Operation, _ operands: [Value]) throws -> [Value] {
    try tracer.graph.append(operation, operands, scope: scope)
  }

  /// Numbers that do not depend on the input, as float32.
  public func constant(_ values: [Double], _ shape: [Int]? = nil) throws -> Value {
    tracer.graph.addConstant(try Tensor(values.map { Float($0) }, shape ?? [values.count]))
  }

  /// Whole numbers, as int64.
  public func constant(integers values: [Int], _ shape: [Int]? = nil) throws -> Value {
    tracer.graph.addConstant(try Tensor(integers: values.map(Double.init), .int64, shape ?? [values.count]))
  }
}
