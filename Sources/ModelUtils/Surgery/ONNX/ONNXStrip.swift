import ModelCheckpoints
import ModelCore

/// What `strip` took out of an ONNX model.
public struct ONNXStripReport: Sendable, Codable, CustomStringConvertible {
  /// How many texts about the model, its graphs and nodes.
  public fileprivate(set) var texts = 0
  /// How many of exporters' entries at nodes, such as stack traces.
  public fileprivate(set) var entries = 0
  /// The initializers that nothing used.
  public fileprivate(set) var unused: [String] = []
  /// What was said of values that there are none of.
  public fileprivate(set) var stale: [String] = []

  public var description: String {
    "Took out \(texts) texts, \(entries) entries of exporters, \(unused.count) unused initializers and "
      + "\(stale.count) types of values that are not there"
  }
}

extension ONNXModel {
  /// Takes out what no runtime needs: doc strings, exporters' entries at nodes such as stack traces, initializers that
  /// nothing uses, and the types of values that are not there. The model's own metadata stay.
  @discardableResult
  public mutating func strip() -> ONNXStripReport {
    var report = ONNXStripReport()
    if !docString.isEmpty {
      docString = ""
      report.texts += 1
    }
    if let stripped = graph.stripped(&report) { graph = stripped }
    return report
  }
}

extension ONNXGraph {
  /// - Returns: nil where there is nothing to take out.
  fileprivate func stripped(_ report: inout ONNXStripReport) -> ONNXGraph? {
    var new = self
    var isChanged = false
    if !docString.isEmpty {
      new.docString = ""
      report.texts += 1
      isChanged = true
    }
    for (index, node) in nodes.enumerated() {
      if !node.docString.isEmpty {
        new.nodes[index].docString = ""
        report.texts += 1
        isChanged = true
      }
      if !node.metadata.isEmpty {
        report.entries += node.metadata.count
        new.nodes[index].metadata = [:]
        isChanged = true
      }
      for (place, attribute) in node.attributes.enumerated() {
        let graphs = attribute.value.allGraphs
        let stripped = graphs.map { $0.stripped(&report) }
        guard stripped.contains(where: { $0 != nil }) else { continue }
        new.nodes[index].attributes[place].value = attribute.value.replacingGraphs(
          zip(graphs, stripped).map { $1 ?? $0 })
        isChanged = true
      }
    }
    let all = allNodes
    let inner = all.flatMap(\.subgraphs)
    let used = Set(all.flatMap(\.inputs) + ([self] + inner).flatMap { $0.outputs.map(\.name) })
    let given = Set(inputs.map(\.name))
    let unused = initializers.filter { !used.contains($0.name) && !given.contains($0.name) }.map(\.name)
    if !unused.isEmpty {
      report.unused += unused
      new.initializers.removeAll { unused.contains($0.name) }
      isChanged = true
    }
    let made = Set(nodes.flatMap(\.outputs)).union(given).union(new.initializers.map(\.name))
    let stale = valueInfo.filter { !made.contains($0.name) }.map(\.name)
    if !stale.isEmpty {
      report.stale += stale
      new.valueInfo.removeAll { !made.contains($0.name) }
      isChanged = true
    }
    return isChanged ? new : nil
  }
}
