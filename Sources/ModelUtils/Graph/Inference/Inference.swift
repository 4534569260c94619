import ModelCore

/// What is inferred of a graph's values for inputs of given types.
public struct InferredTypes: Sendable {
  /// One for each value.
  public fileprivate(set) var types: [TensorType] = []
  /// The elements of small whole-numbered tensors that do not depend on the inputs' elements, such as shapes.
  public fileprivate(set) var known: [Graph.Value: [Int]] = [:]

  /// The type of a value of the graph that they were inferred for.
  public subscript(value: Graph.Value) -> TensorType { types[value.index] }
}

/// Infers the types of a graph's values, also of one that still grows.
package struct TypeInference {
  package private(set) var inferred = InferredTypes()
  private var remaining: ArraySlice<TensorType>

  package init(_ inputTypes: [TensorType]) { remaining = inputTypes[...] }

  /// Goes on with what the graph has defined since the last time.
  /// - Throws: `ModelError` naming the module that cannot take what comes to it.
  package mutating func extend(over graph: Graph) throws {
    while inferred.types.count < graph.definitions.count {
      let index = inferred.types.count
      switch graph.definitions[index] {
      case .input:
        guard let type = remaining.popFirst() else { throw ModelError(.mismatch, "has more inputs than it says") }
        _ = try Shape.checked(type.shape)
        inferred.types.append(type)
      case .weight(let path):
        guard let tensor = graph.weights[path]?.tensor else { throw ModelError(.missing, "is missing", subject: path) }
        inferred.types.append(TensorType(tensor.dtype, try Shape.checked(tensor.shape)))
      case .constant(let tensor):
        inferred.types.append(TensorType(tensor.dtype, try Shape.checked(tensor.shape)))
        if tensor.dtype.isInteger, tensor.count <= Inference.knownLimit {
          inferred.known[Graph.Value(index: index)] = try tensor.integers()
        }
      // The results of a node stand together.
      case .result(let node, _): try infer(graph.nodes[node], graph)
      }
    }
  }

  private mutating func infer(_ node: Graph.Node, _ graph: Graph) throws {
    let operands = node.operands.map { inferred.types[$0.index] }
    let known = inferred.known.isEmpty ? [] : node.operands.map { inferred.known[$0] }
    do {
      if let layer = graph.scopes[node.scope].layer, let input = graph.scopes[node.scope].inputs.first {
        try layer.check(
          inferred[input], beside: graph.scopes[node.scope].inputs.dropFirst().map { inferred[$0] })
      }
      let results = try Inference.types(of: node.operation, operands, known)
      guard results.count == node.results.count else {
        throw ModelError(.mismatch, "gives \(results.count) results, not \(node.results.count)")
      }
      let arrays = try self.known(node.operation, operands, known, results)
      inferred.types += results
      for (value, elements) in zip(node.results, arrays) { inferred.known[value] = elements }
    } catch let error as ModelError {
      throw error.about(graph.scopes[node.scope].path)
    }
  }

  /// The elements of small whole-numbered results of operands whose elements are known.
  private func known(
    _ operation: Operation, _ operands: [TensorType], _ known: [[Int]?], _ results: [TensorType]
  ) throws -> [[Int]] {
    if case .shape = operation { return [operands[0].shape] }
    for result in results { _ = try Shape.checked(result.shape) }
    guard !known.isEmpty, known.allSatisfy({ $0 != nil }),
      results.allSatisfy({ $0.dtype.isInteger && Shape.count($0.shape) <= Inference.knownLimit })
    else { return [] }
    let arrays = zip(operands, known).map { ReferenceArray($0, $1.map { $0.map(Double.init) } ?? []) }
    return try Reference.compute(operation, arrays, results).map { $0.values.map { Int(exactly: $0) ?? 0 } }
  }
}

extension Graph {
  /// The types of all values for inputs of the given types.
  /// - Throws: `ModelError` naming the module that cannot take what comes to it, and for other shapes than those that
  ///   the graph was traced for, where it depends on them.
  public func types(of inputTypes: [TensorType]) throws -> InferredTypes {
    guard inputTypes.count == inputs.count else {
      throw ModelError(.mismatch, "takes \(inputs.count) inputs, not \(inputTypes.count)")
    }
    if let inputShapes, inputTypes.map(\.shape) != inputShapes {
      let shapes = inputShapes.map(\.description).joined(separator: ", ")
      throw ModelError(.mismatch, "the graph was traced for inputs \(shapes)", advice: "trace it anew for another size")
    }
    var inference = TypeInference(inputTypes)
    try inference.extend(over: self)
    return inference.inferred
  }

  /// The shape of every value for float32 inputs of the given shapes, such as [1, 3, 640, 640].
  /// - Throws: as `types(of:)`.
  public func shapes(of inputShapes: [[Int]]) throws -> [[Int]] {
    try types(of: inputShapes.map { TensorType(.float32, $0) }).types.map(\.shape)
  }
}

/// The types that operations make of their operands' types.
enum Inference {
  /// The most elements of a tensor whose value is followed.
  static let knownLimit = 1024

  /// - Throws: `ModelError` for operands that the operation cannot take.
  static func types(of operation: Operation, _ operands: [TensorType], _ known: [[Int]?]) throws -> [TensorType] {
    if case .other(let name) = operation { throw ModelError(.unsupported, "what \(name) computes is not known") }
    guard let first = operands.first else { throw ModelError(.mismatch, "has no input") }
    func same(_ shape: [Int]) -> [TensorType] { [first.with(shape)] }
    switch operation {
    case .convolution(let geometry): return [try convolution(geometry, operands)]
    case .linear: return [try linear(operands)]
    case .matrixProduct: return [try matrixProduct(operands)]
    case .einsum(let equation):
      return [TensorType(.promoted(operands), try Einsum(equation, operands.map(\.shape)).outputShape)]
    case .attention: return [try attention(operands)]
    case .recurrence(let recurrence): return try self.recurrence(recurrence, operands)
    case .batchNorm(let mode, _): return try batchNorm(mode, operands)
    case .layerNorm(let axes, _), .rmsNorm(let axes, _): return [try layerNorm(axes, operands)]
    case .groupNorm(let groups, _): return [try groupNorm(groups, operands)]
    case .softmax(let axis, _):
      try requireFloating(first)
      if let axis, !first.shape.isEmpty { _ = try Shape.axis(axis, first.shape.count) }
      return [first]
    case .unary(let function):
      if case .clip(let minimum, let maximum) = function, minimum?.isNaN == true || maximum?.isNaN == true {
        throw ModelError(.malformed, "clips at what is no number")
      }
      switch function {
      case .clip, .threshold:
        guard first.dtype != .bool else { throw ModelError(.mismatch, "takes numbers, not bool") }
      default: break
      }
      return [TensorType(first.dtype.isInteger && !function.keepsIntegers ? .float32 : first.dtype, first.shape)]
    case .prelu: return [try prelu(operands)]
    case .binary(let function): return [try binary(function, operands)]
    case .compare: return [TensorType(.bool, try Shape.broadcast(try pair(operands).map(\.shape)))]
    case .select:
      guard operands.count == 3 else { throw ModelError(.mismatch, "takes a condition and two tensors") }
      return [TensorType(.promoted(Array(operands.dropFirst())), try Shape.broadcast(operands.map(\.shape)))]
    case .convert(let dtype): return [TensorType(dtype, first.shape)]
    case .dropout(let dropout):
      guard (0...1).contains(dropout.probability) else {
        throw ModelError(.mismatch, "cannot drop \(dropout.probability)")
      }
      guard operands.count == 1 || (operands.count == 2 && operands[1] == TensorType(.int64, [2])) else {
        throw ModelError(.mismatch, "draws by two whole numbers")
      }
      return [first]
    case .reduce(let reduction, let axes, let keepsAxes):
      if reduction == .mean || reduction == .norm { try requireFloating(first) }
      let dtype: DType = (reduction == .sum || reduction == .product) && first.dtype.isInteger ? .int64 : first.dtype
      return [TensorType(dtype, try reduced(first.shape, axes, keepsAxes))]
    case .argmax(let axis, let keepsAxis): return [TensorType(.int64, try reduced(first.shape, [axis], keepsAxis))]
    case .topK(let axis, let count):
      let shape = try topK(first.shape, axis, count)
      return [first.with(shape), TensorType(.int64, shape)]
    case .pool(let pool):
      if pool.kind == .average { try requireFloating(first) }
      return same(try pool.outputShape(of: first.shape))
    case .adaptivePool(let pool):
      if pool.kind == .average { try requireFloating(first) }
      return same(try pool.outputShape(of: first.shape))
    case .resize(let resize): return same(try resize.outputShape(of: operands.map(\.shape)))
    case .pad(let margins, let mode): return same(try padded(first.shape, margins, mode))
    case .samePad(let padding):
      return same(try padded(first.shape, padding.margins(of: first.shape), .constant(padding.value)))
    case .gridSample: return same(try gridSample(operands.map(\.shape)))
    case .pixelShuffle(let shuffle): return same(try shuffle.outputShape(of: first.shape))
    case .concatenate(let axis):
      return [TensorType(.promoted(operands), try concatenated(operands.map(\.shape), axis))]
    case .stack(let axis): return [TensorType(.promoted(operands), try stacked(operands.map(\.shape), axis))]
    case .split(let axis, let parts): return try split(operands.map(\.shape), axis, parts, known).map(first.with)
    case .slice(let axis, let start, let end, let step):
      return same(try sliced(first.shape, axis, start, end, step))
    case .gather(let axis, let batchAxes): return same(try gathered(operands.map(\.shape), axis, batchAxes))
    case .scatter: return same(try scattered(operands))
    case .reshape(let extents): return same(try reshaped(operands.map(\.shape), extents, known))
    case .flatten(let flatten): return same(try flatten.outputShape(of: first.shape))
    case .permute(let axes): return same(try permuted(first.shape, axes))
    case .expand(let extents): return same(try expanded(operands.map(\.shape), extents, known))
    case .coordinates(let axis): return same([first.shape[try Shape.axis(axis, first.shape.count)]])
    case .shape: return [TensorType(.int64, [first.shape.count])]
    case .gradient(let gradient): return try self.gradient(gradient, operands)
    case .other(let name): throw ModelError(.unsupported, "what \(name) computes is not known")
    }
  }

  /// - Throws: `ModelError` for whole numbers, whose fractions would be lost.
  static func requireFloating(_ type: TensorType) throws {
    if type.dtype.isInteger {
      throw ModelError(.mismatch, "takes numbers with fractions, but \(type.dtype.rawValue) comes to it")
    }
  }

  static func pair(_ operands: [TensorType]) throws -> [TensorType] {
    guard operands.count == 2 else { throw ModelError(.mismatch, "takes two tensors, not \(operands.count)") }
    return operands
  }
}
