import ModelCheckpoints
import ModelCore

/// What is wrong with an ONNX model's form: names, order, data in other files.
public struct ONNXCheck: Sendable, Codable {
  /// All that was found.
  public private(set) var findings: [ModelFinding] = []

  /// Looks at a model: values that are made twice or not at all, nodes before what they take, initializers that callers
  /// may set or nothing uses, types of values that are not there or contradict what is computed, constants whose elements are more, fewer or not to be
  /// had, digests of data in other files, and variances below zero.
  public init(_ model: ONNXModel) {
    checkVersions(model)
    checkConstants(model)
    check(model.graph, of: model, outer: [], isMain: true)
    checkTypes(model)
    checkVariances(model)
  }

  private mutating func add(_ severity: ModelFinding.Severity, _ name: String, _ what: String) {
    findings.append(ModelFinding(severity: severity, name: name, what: what))
  }

  private mutating func checkVersions(_ model: ONNXModel) {
    if model.opsets.isEmpty, model.irVersion >= 3 { add(.broken, "", "imports no opset") }
    let domains = model.opsets.map { $0.domain == "ai.onnx" ? "" : $0.domain }
    for domain in Set(domains) where domains.count(where: { $0 == domain }) > 1 {
      add(.broken, domain, "the operators of \(domain.isEmpty ? "ONNX" : domain) are imported twice")
    }
  }

  private mutating func checkConstants(_ model: ONNXModel) {
    for constant in model.constants {
      do {
        guard constant.tensor.elementType.dtype != nil else {
          if constant.tensor.elementType == .string { _ = try constant.tensor.strings() }
          continue
        }
        let tensor = try constant.tensor.tensor()
        guard let expected = constant.tensor.checksum else { continue }
        let actual = try tensor.withContiguousBytes { SHA1.hexadecimal($0) }
        if actual != expected.lowercased() {
          add(.broken, constant.name, "its data has the SHA-1 \(actual), not \(expected.printable(limit: 48))")
        }
      } catch {
        add(.broken, constant.name, (error as? ModelError)?.reason ?? "cannot be read")
      }
    }
  }

  /// The first of those types that contradict what is computed, and how many more there are.
  private mutating func checkTypes(_ model: ONNXModel) {
    let all = model.contradictedTypes()
    let stale = all.filter(\.isType) + all.filter { !$0.isType }
    let shown = 8
    for value in stale.prefix(shown) {
      add(
        value.isType ? .broken : .warning, value.name,
        "is recorded as \(value.recorded) and computed as \(value.computed)")
    }
    if stale.count > shown {
      add(.warning, stale[shown].name, "and \(stale.count - shown) more values are recorded as what is not computed")
    }
  }

  private mutating func checkVariances(_ model: ONNXModel) {
    let constants = Dictionary(
      model.constants.map { ($0.valueName, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    for node in model.graph.allNodes where node.operation == "BatchNormalization" && node.inputs.count > 4 {
      guard let values = try? constants[node.inputs[4]]?.tensor().doubles() else { continue }
      let below = values.count { !($0 >= 0) }
      if below > 0 { add(.broken, node.inputs[4], "\(below) of \(values.count) variances are below zero or NaN") }
    }
  }

  /// - Parameter outer: what the graphs around it make.
  private mutating func check(_ graph: ONNXGraph, of model: ONNXModel, outer: Set<String>, isMain: Bool) {
    let given = Set(graph.inputs.map(\.name))
    let initializers = graph.initializers.map(\.name) + graph.sparseInitializers.map(\.values.name)
    checkNames(graph, initializers)
    if isMain, model.irVersion >= 4 {
      let settable = initializers.filter(given.contains)
      if let first = settable.first {
        add(.info, first, "\(settable.count) initializers are inputs, which callers may set: they are not fused")
      }
    }
    var known = outer.union(given).union(initializers)
    let all = known.union(graph.nodes.flatMap(\.outputs))
    var used: Set<String> = []
    for node in graph.nodes {
      for input in node.inputs where !input.isEmpty {
        used.insert(input)
        if known.contains(input) { continue }
        if all.contains(input) {
          add(.warning, node.label, "takes '\(input)' before it is made: the nodes are not sorted")
        } else {
          add(.broken, node.label, "takes '\(input)', which nothing makes")
        }
      }
      for inner in node.subgraphs {
        used.formUnion(inner.allNodes.flatMap(\.inputs))
        for graph in [inner] + inner.allNodes.flatMap(\.subgraphs) { used.formUnion(graph.outputs.map(\.name)) }
        check(inner, of: model, outer: known, isMain: false)
      }
      known.formUnion(node.outputs)
    }
    if let error = (graph.cycle { outer.contains($0) || given.contains($0) || initializers.contains($0) }) {
      add(.broken, error.subject ?? "", error.reason)
    }
    for output in graph.outputs where !all.contains(output.name) {
      add(.broken, output.name, "is an output that nothing makes")
    }
    used.formUnion(graph.outputs.map(\.name))
    let unused = initializers.filter { !used.contains($0) }
    if let first = unused.first { add(.info, first, "\(unused.count) initializers are not used by any node") }
    let stale = graph.valueInfo.filter { !all.contains($0.name) }
    if let first = stale.first {
      add(.warning, first.name, "\(stale.count) types are given of values that are not there")
    }
  }

  private mutating func checkNames(_ graph: ONNXGraph, _ initializers: [String]) {
    var seen: Set<String> = []
    for name in initializers where !seen.insert(name).inserted {
      add(.broken, name, "two initializers have this name")
    }
    seen.formUnion(graph.inputs.map(\.name))
    for node in graph.nodes {
      for output in node.outputs where !output.isEmpty && !seen.insert(output).inserted {
        add(.broken, output, "is made twice")
      }
    }
  }
}

extension ONNXGraph {
  /// What keeps the nodes from any order; nil where there is one, or where a value is missing or made twice.
  fileprivate func cycle(isKnown: (String) -> Bool) -> ModelError? {
    let made = Set(nodes.flatMap(\.outputs))
    let sources = nodes.flatMap(\.inputs).filter { !$0.isEmpty }
    guard sources.allSatisfy({ made.contains($0) || isKnown($0) }) else { return nil }
    let outputs = nodes.flatMap(\.outputs).filter { !$0.isEmpty }
    guard Set(outputs).count == outputs.count, !outputs.contains(where: isKnown) else { return nil }
    do {
      _ = try ONNXOrder.sorted(nodes, isKnown: isKnown)
      return nil
    } catch { return error as? ModelError }
  }
}
