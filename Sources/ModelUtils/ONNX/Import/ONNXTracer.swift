import ModelCheckpoints
import ModelCore
import ModelGraph

/// Makes a graph of a model's nodes, one after the other.
final class ONNXTracer {
  let model: ONNXModel
  var graph = Graph()
  var unsized: [ONNXTrace.Unsized] = []
  var symbols = ONNXSymbols()
  /// What names stand for, in the main graph and in each branch within it, the innermost last.
  var scopes: [[String: Binding]] = [[:]]
  /// The scope of the node that is lowered.
  private(set) var scope = 0
  /// The functions that are being inlined, which must not call themselves.
  var calls: [String] = []
  private var inlined = 0
  private var depth = 0
  private var constants: [Tensor.Identity: Graph.Value] = [:]
  /// The elements that were computed beforehand, all together.
  private var computed = 0
  /// Multiplications since they were last taken.
  private var macs = 0.0
  /// Multiplications by operator, those within branches and functions by what does them.
  private(set) var operatorMACs: [String: Double] = [:]
  /// The operator of the node that is lowered.
  private var operation = ""
  /// The weights that are no parameters, such as running means.
  var buffers: Set<String> = []

  /// The most elements of a tensor that is computed while the model is traced.
  static let foldingLimit = 1 << 20
  /// The most elements of all that are.
  private static let computedLimit = 1 << 26
  /// The most multiplications, or elements of windows, of an operation that is.
  private static let effortLimit = 0x1p26
  /// How deep functions and branches may stand in each other.
  private static let depthLimit = 64
  /// The most nodes of branches, bodies and functions together.
  private static let nodeLimit = 1 << 18

  init(_ model: ONNXModel) { self.model = model }

  // MARK: Values

  /// The value of an operand, which goes into the graph where it is not there yet.
  func value(_ operand: Operand) -> Graph.Value {
    switch operand.source {
    case .value(let value): return value
    case .constant(let tensor, let name?):
      if let held = graph.weights[name], held.tensor.identity != tensor.identity { return constant(tensor) }
      let isBuffer = buffers.contains(name) || !tensor.dtype.isFloatingPoint
      return graph.addWeight(name, Graph.Weight(tensor: tensor, requiresGrad: !isBuffer, isBuffer: isBuffer))
    case .constant(let tensor, nil): return constant(tensor)
    }
  }

  /// One value for all that take the same tensor.
  private func constant(_ tensor: Tensor) -> Graph.Value {
    if let value = constants[tensor.identity] { return value }
    let value = graph.addConstant(tensor)
    constants[tensor.identity] = value
    return value
  }

  /// Appends an operation, or computes it where all that it takes is known and small.
  func emit(_ operation: Operation, _ operands: [Operand]) throws -> [Operand] {
    let types = try operation.resultTypes(of: operands.map(\.type))
    if let folded = try folded(operation, operands, types) { return folded }
    let results = try graph.append(operation, operands.map(value), scope: scope)
    let products = operation.products(operands.map(\.shape), types[0].shape)
    macs += products
    if products > 0 { operatorMACs[self.operation, default: 0] += products }
    return zip(types, results).map { Operand($0, $1) }
  }

  /// Appends an operation that is only known by its name and what it gives.
  func emitUnknown(_ name: String, _ operands: [Operand], _ type: TensorType) throws -> Operand {
    Operand(type, try graph.append(.other(name), operands.map(value), scope: scope)[0])
  }

  /// Counts elements of constants that are made beside the file's.
  /// - Throws: `ModelError` when they are more than any model's.
  func reserve(_ count: Int) throws {
    computed += count
    guard computed <= 2 * Self.computedLimit else {
      throw ModelError(.limit, "has more than \(2 * Self.computedLimit) elements that are computed beforehand")
    }
  }

  /// Multiplications since the last call.
  func takenMACs() -> Double {
    defer { macs = 0 }
    return macs
  }

  private func folded(_ operation: Operation, _ operands: [Operand], _ types: [TensorType]) throws -> [Operand]? {
    let tensors = operands.compactMap(\.tensor)
    guard tensors.count == operands.count, let first = tensors.first else { return nil }
    switch operation {
    case .permute(let axes): return [Operand(try first.permuted(axes))]
    case .reshape, .flatten: if first.isContiguous { return [Operand(try first.reshaped(types[0].shape))] }
    default: break
    }
    let count = types.reduce(0) { $0 + $1.shape.reduce(1, *) }
    guard operands.allSatisfy({ $0.count <= Self.foldingLimit }), count <= Self.foldingLimit,
      computed + count <= Self.computedLimit,
      operation.effort(operands.map(\.shape), types[0].shape) <= Self.effortLimit
    else { return nil }
    computed += count
    // Elements that are only moved may be of any size: as words.
    let areWords = operation.movesElements && types[0].dtype == .int64
    func word(_ type: TensorType) -> TensorType { TensorType(type.dtype == .int64 ? .float64 : type.dtype, type.shape) }
    let arrays = try tensors.enumerated().map { index, tensor in
      let isPlace = operation.takesPlaces && index == 1
      guard areWords, !isPlace, tensor.dtype == .int64 else { return try ReferenceArray(tensor) }
      let tensor = try tensor.isContiguous ? tensor : tensor.materialized()
      return try ReferenceArray(
        Tensor(tensor.storage, dtype: .float64, shape: tensor.shape, byteOffset: tensor.byteOffset))
    }
    let results = try operation.compute(arrays, areWords ? types.map(word) : types)
    return try zip(results, types).map { result, type in
      let tensor = try result.tensor()
      return Operand(areWords ? try Tensor(tensor.storage, dtype: type.dtype, shape: type.shape) : tensor)
    }
  }

  // MARK: Names

  func lookUp(_ name: String) -> Binding? {
    for scope in scopes.reversed() { if let binding = scope[name] { return binding } }
    return nil
  }

  func bind(_ name: String, _ binding: Binding) {
    if !name.isEmpty { scopes[scopes.count - 1][name] = binding }
  }

  /// The weights of a graph; one that cannot be looked into is unsized.
  func bindInitializers(of graph: ONNXGraph) {
    for tensor in graph.initializers {
      do { bind(tensor.name, .operand(try Operand(tensor.lazyTensor(), name: tensor.name).checked())) } catch {
        note(tensor.name, "initializer", "\((error as? ModelError)?.reason ?? "\(error)")", isCause: true)
        bind(tensor.name, .unsized(cause: tensor.name))
      }
    }
    for tensor in graph.sparseInitializers {
      do { bind(tensor.values.name, .operand(Operand(try tensor.dense(), name: tensor.values.name))) } catch {
        note(tensor.values.name, "initializer", "\((error as? ModelError)?.reason ?? "\(error)")", isCause: true)
        bind(tensor.values.name, .unsized(cause: tensor.values.name))
      }
    }
  }

  func note(_ name: String, _ operation: String, _ reason: String, isCause: Bool) {
    unsized.append(ONNXTrace.Unsized(name: name, operation: operation, reason: reason, isCause: isCause))
  }

  // MARK: Nodes

  /// Lowers the nodes of a graph, each after what it takes.
  /// - Parameter finish: told of each node what it came to, by its place.
  /// - Throws: `ModelError` for a cycle, and a value that nothing makes.
  func lower(
    _ nodes: [ONNXNode], opset: Opsets, valueInfo: [String: ONNXValueInfo], path: String,
    finish: (Int, [Operand?]) -> Void = { _, _ in }
  ) throws {
    inlined += nodes.count
    guard inlined <= Self.nodeLimit else {
      throw ModelError(.limit, "has more than \(Self.nodeLimit) nodes when its functions and branches are written out")
    }
    guard depth < Self.depthLimit else {
      throw ModelError(.limit, "its functions and branches stand in each other more than \(Self.depthLimit) deep")
    }
    depth += 1
    defer { depth -= 1 }
    let (parent, caller) = (scope, operation)
    for index in try ONNXOrder.sorted(nodes, isKnown: { self.lookUp($0) != nil }) {
      let node = nodes[index]
      let name = node.label
      scope = try graph.enter(path.isEmpty ? name : "\(path)/\(name)", parent: parent, inputs: [])
      operation = node.qualifiedOperation
      defer { (scope, operation) = (parent, caller) }
      let results = try lower(node, name, opset, valueInfo)
      graph.leave(
        scope,
        outputs: results.compactMap { if case .value(let value)? = $0?.source { value } else { nil } })
      finish(index, results)
    }
  }

  private func lower(
    _ node: ONNXNode, _ name: String, _ opset: Opsets, _ valueInfo: [String: ONNXValueInfo]
  ) throws -> [Operand?] {
    var (operands, cause): ([Operand?], String?) = ([], nil)
    for input in node.inputs {
      switch input.isEmpty ? nil : lookUp(input) {
      case .operand(let operand): operands.append(operand)
      case .unsized(let name):
        operands.append(nil)
        cause = cause ?? name
      case nil: operands.append(nil)
      }
    }
    var results: [Operand?] = []
    var reason: String?
    if let cause {
      reason = "follows from \(cause)"
    } else {
      do {
        let call = NodeCall(node: node, name: name, opsets: opset, operands: operands, tracer: self)
        results = try call.lowered()
      } catch let error as Unsizable {
        reason = error.reason
      } catch let error as ModelError where error.kind != .limit || graph.nodes.count < Graph.nodeLimit {
        reason = error.reason
      }
    }
    if let reason {
      note(name, node.qualifiedOperation, reason, isCause: cause == nil)
      let known = operands.compactMap { $0 }
      results = try node.outputs.map { output in
        guard let type = declaredType(valueInfo[output]) else { return nil }
        return try emitUnknown(node.qualifiedOperation, known, type)
      }
    }
    for (index, output) in node.outputs.enumerated() {
      if index < results.count, let result = results[index] {
        bind(output, .operand(result))
      } else {
        bind(output, .unsized(cause: cause ?? name))
      }
    }
    return results
  }

  /// What the file says of a value, where that leaves nothing open.
  func declaredType(_ info: ONNXValueInfo?) -> TensorType? {
    guard case .tensor(let element, let shape?)? = info?.kind, let dtype = element.dtype else { return nil }
    let lengths = symbols.filled(shape).compactMap { $0 }
    guard lengths.count == shape.count, let count = Tensor.elementCount(lengths), count < 1 << 40 else { return nil }
    return TensorType(dtype, lengths)
  }
}

/// Which editions of operators nodes mean.
struct Opsets {
  /// Of ONNX's own.
  var standard: Int

  init(_ opsets: [ONNXModel.Opset]) {
    standard = opsets.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }?.version ?? 1
  }
}

extension Operation {
  /// Multiplications, or elements of windows.
  fileprivate func effort(_ operands: [[Int]], _ output: [Int]) -> Double {
    if case .pool(let pool) = self { return (output + pool.kernelSize).reduce(1) { $0 * Double($1) } }
    return products(operands, output)
  }

  /// Whether it moves elements without looking at them.
  fileprivate var movesElements: Bool {
    switch self {
    case .concatenate, .stack, .split, .slice, .gather, .reshape, .flatten, .permute, .expand, .select: true
    default: false
    }
  }

  /// Whether its second operand says which elements are meant.
  fileprivate var takesPlaces: Bool { if case .gather = self { true } else { false } }
}

extension ONNXGraph {
  /// What is said of its values, by their names.
  var declared: [String: ONNXValueInfo] {
    Dictionary((valueInfo + outputs + inputs).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}
