import ModelCheckpoints
import ModelCore
import ModelGraph

/// A node with what comes to it, as the rules of operators see it.
struct NodeCall {
  let node: ONNXNode
  let name: String
  let opsets: Opsets
  let operands: [Operand?]
  let tracer: ONNXTracer

  var opset: Int { opsets.standard }

  /// What the node gives, by the rule of its operator.
  /// - Throws: `Unsizable` or `ModelError` where it cannot be sized.
  func lowered() throws -> [Operand?] {
    let function = tracer.model.functions.first {
      $0.name == node.operation && $0.domain == node.domain && $0.overload == node.overload
    }
    if let function { return try tracer.inline(function, node, operands, path: name) }
    guard let rule = NodeRules.rule(for: node) else { throw Unsizable("the operator is not known") }
    return try rule(self)
  }

  // MARK: Operands

  /// - Throws: `ModelError` where it is left out.
  func operand(_ index: Int) throws -> Operand {
    guard let operand = optional(index) else { throw ModelError(.malformed, "has no input \(index)") }
    return operand
  }

  func optional(_ index: Int) -> Operand? { operands.indices.contains(index) ? operands[index] : nil }

  /// All of them, none left out.
  func allOperands() throws -> [Operand] {
    guard !operands.isEmpty else { throw ModelError(.malformed, "has no input 0") }
    return try operands.indices.map { try operand($0) }
  }

  /// Whether an output is asked for.
  func gives(_ index: Int) -> Bool { node.outputs.indices.contains(index) && !node.outputs[index].isEmpty }

  /// The whole numbers of an operand on which sizes depend; nil where it is left out.
  /// - Throws: `Unsizable` where they are computed.
  func integers(_ index: Int) throws -> [Int]? {
    guard let operand = optional(index) else { return nil }
    return try integers(of: operand, node.inputs[index])
  }

  private func integers(of operand: Operand, _ name: String) throws -> [Int] {
    guard let tensor = operand.tensor else { throw Unsizable("its sizes depend on \(name), which is computed") }
    guard tensor.count <= 1 << 16 else { throw ModelError(.limit, "\(name) has \(tensor.count) numbers") }
    return tensor.dtype.isInteger ? try tensor.integers() : try tensor.doubles().map(Self.whole)
  }

  /// The numbers of an operand on which sizes depend; nil where it is left out.
  func numbers(_ index: Int) throws -> [Double]? {
    guard let operand = optional(index) else { return nil }
    guard let tensor = operand.tensor else {
      throw Unsizable("its sizes depend on \(node.inputs[index]), which is computed")
    }
    guard tensor.count <= 1 << 16 else { throw ModelError(.limit, "\(node.inputs[index]) has \(tensor.count) numbers") }
    return try tensor.doubles()
  }

  /// - Throws: `ModelError` for what is no whole number.
  static func whole(_ value: Double) throws -> Int {
    guard let number = Int(exactly: value.rounded(.towardZero)) else {
      throw ModelError(.mismatch, "\(value) is no whole number")
    }
    return number
  }

  // MARK: Attributes

  func has(_ name: String) -> Bool { node.attribute(name) != nil }

  private func attribute<T>(_ name: String, _ kind: String, _ value: (ONNXAttribute.Value) -> T?) throws -> T? {
    guard let attribute = node.attribute(name) else { return nil }
    guard let value = value(attribute) else { throw ModelError(.malformed, "its \(name) is no \(kind)") }
    return value
  }

  func int(_ name: String) throws -> Int? { try attribute(name, "whole number", \.int) }
  func int(_ name: String, _ standard: Int) throws -> Int { try int(name) ?? standard }
  func flag(_ name: String, _ standard: Bool = false) throws -> Bool { try int(name).map { $0 != 0 } ?? standard }
  func float(_ name: String, _ standard: Double) throws -> Double {
    try attribute(name, "number", \.float).map(Double.init) ?? standard
  }
  func ints(_ name: String) throws -> [Int]? {
    try attribute(name, "list of whole numbers") { value in
      if case .ints(let values) = value { return values }
      // An empty list says no type in old files.
      if case .other = value { return [] }
      return nil
    }
  }
  func floats(_ name: String) throws -> [Double]? { try attribute(name, "list of numbers", \.floats)?.map(Double.init) }
  func text(_ name: String, _ standard: String) throws -> String { try attribute(name, "text", \.text) ?? standard }

  /// An axis, counted from the end when negative.
  func axis(_ axis: Int, _ rank: Int) throws -> Int {
    let place = axis < 0 ? axis &+ rank : axis
    guard (0..<max(rank, 0)).contains(place) else { throw ModelError(.mismatch, "axis \(axis) is none of \(rank)") }
    return place
  }

  /// Axes that an attribute or, from an edition on, an input names; nil where nothing is said.
  func axes(_ index: Int, since edition: Int) throws -> [Int]? {
    opset >= edition ? try integers(index) : try ints("axes")
  }

  // MARK: Emitting

  func all(_ operation: Operation, _ operands: [Operand]) throws -> [Operand] {
    try tracer.emit(operation, operands)
  }

  func emit(_ operation: Operation, _ operands: Operand...) throws -> Operand {
    try tracer.emit(operation, operands)[0]
  }

  func unary(_ function: Unary, _ x: Operand) throws -> Operand { try emit(.unary(function), x) }
  func binary(_ function: Binary, _ a: Operand, _ b: Operand) throws -> Operand { try emit(.binary(function), a, b) }
  func compare(_ comparison: Comparison, _ a: Operand, _ b: Operand) throws -> Operand {
    try emit(.compare(comparison), a, b)
  }

  func convert(_ x: Operand, _ dtype: DType) throws -> Operand {
    x.dtype == dtype ? x : try emit(.convert(dtype), x)
  }

  func reshape(_ x: Operand, _ shape: [Int]) throws -> Operand {
    x.shape == shape ? x : try emit(.reshape(shape.map { .fixed($0) }), x)
  }

  func permute(_ x: Operand, _ order: [Int]) throws -> Operand {
    order == Array(order.indices) ? x : try emit(.permute(order), x)
  }

  func expand(_ x: Operand, _ shape: [Int]) throws -> Operand {
    x.shape == shape ? x : try emit(.expand(shape.map { .fixed($0) }), x)
  }

  func slice(_ x: Operand, _ axis: Int, _ start: Int, _ end: Int, _ step: Int = 1) throws -> Operand {
    if start == 0, end == x.shape[axis], step == 1 { return x }
    return try emit(.slice(axis: axis, start: start, end: end, step: step), x)
  }

  func reduce(_ reduction: Reduction, _ x: Operand, _ axes: [Int], keepsAxes: Bool = true) throws -> Operand {
    try emit(.reduce(reduction, axes: axes, keepsAxes: keepsAxes), x)
  }

  /// With an axis of length 1 more.
  func unsqueeze(_ x: Operand, _ axis: Int) throws -> Operand {
    var shape = x.shape
    shape.insert(1, at: axis)
    return try reshape(x, shape)
  }

  /// An operation of which only what it gives is known.
  func unknown(_ reason: String, _ type: TensorType) throws -> Operand {
    // A shape that no tensor has is an error first.
    _ = try Operation.unary(.abs).resultTypes(of: [type])
    tracer.note(name, node.qualifiedOperation, reason, isCause: true)
    return try tracer.emitUnknown(node.qualifiedOperation, operands.compactMap { $0 }, type)
  }

  // MARK: Constants

  func constant(_ values: [Double], _ dtype: DType, _ shape: [Int]) throws -> Operand {
    try tracer.reserve(values.count)
    return Operand(try ReferenceArray(TensorType(dtype, shape), values).tensor())
  }

  func constant(_ values: [Int], _ shape: [Int]? = nil) throws -> Operand {
    try tracer.reserve(values.count)
    return Operand(try Tensor(integers: values, .int64, shape ?? [values.count]))
  }

  func scalar(_ value: Double, _ dtype: DType) throws -> Operand { try constant([value], dtype, []) }

  /// The same number everywhere, of any size.
  func filled(_ value: Operand, _ shape: [Int]) throws -> Operand { try expand(reshape(value, []), shape) }

  /// 0, 1, 2, …
  func range(_ count: Int) throws -> Operand { try constant(counted(count) { $0 }) }

  /// A number for each place, of which there may not be more than are computed beforehand.
  func counted(_ count: Int, _ body: (Int) throws -> Int) throws -> [Int] {
    guard (0...ONNXTracer.foldingLimit).contains(count) else {
      throw ModelError(.limit, "counts to \(count), more than is computed beforehand")
    }
    return try (0..<count).map(body)
  }

  /// With an axis turned round.
  func reversed(_ x: Operand, _ axis: Int) throws -> Operand {
    let length = x.shape[axis]
    return try emit(.gather(axis: axis, batchAxes: 0), x, constant(counted(length) { length - 1 - $0 }))
  }

  /// The product of lengths.
  /// - Throws: `ModelError` when it is beyond any tensor.
  func product(_ lengths: some Sequence<Int>) throws -> Int {
    try lengths.reduce(1) { product, length in
      let (result, overflow) = product.multipliedReportingOverflow(by: length)
      guard !overflow, result.magnitude < 1 << 53 else { throw ModelError(.limit, "its shape is too large") }
      return result
    }
  }

  /// Many computed as pairs, from the left.
  func folded(_ function: Binary, _ operands: [Operand]) throws -> Operand {
    guard var result = operands.first else { throw ModelError(.malformed, "has no input 0") }
    for operand in operands.dropFirst() { result = try binary(function, result, operand) }
    return result
  }
}

/// What operators compute, in terms of a graph's operations.
enum NodeRules {
  typealias Rule = @Sendable (NodeCall) throws -> [Operand?]

  static func rule(for node: ONNXNode) -> Rule? {
    if node.isStandard { return standard[node.operation] }
    return others["\(node.domain).\(node.operation)"]
  }

  /// ONNX's own.
  private static let standard: [String: Rule] = [
    elementwise, activations, comparisons, constants, arrangement, indexing, products, windows, normalizations,
    reductions, recurrences, attentions, sampling, regions, fourier, losses, quantization, control,
  ].reduce(into: [:]) { all, family in all.merge(family) { first, _ in first } }

  /// Of other domains, with the domain before the name.
  private static let others: [String: Rule] = Dictionary(
    uniqueKeysWithValues: microsoft.map { ("com.microsoft.\($0)", $1) })
}
