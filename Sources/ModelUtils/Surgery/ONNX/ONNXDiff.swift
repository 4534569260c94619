import ModelCheckpoints
import ModelCore

/// How the graphs of two ONNX models differ, their weights' values aside.
public struct ONNXDiff: Sendable, Codable, Hashable {
  /// What one has and the other lacks, or both have otherwise.
  public struct Entry: Sendable, Codable, Hashable {
    /// A node by what it makes, an input or output by its name, or what belongs to the model (`opset`).
    public let name: String
    /// How it is in the first; nil where it is not.
    public let first: String?
    /// How it is in the second; nil where it is not.
    public let second: String?
  }

  /// All that differs.
  public let entries: [Entry]

  /// Whether there is nothing to tell.
  public var equal: Bool { entries.isEmpty }

  /// Compares versions, inputs, outputs and nodes: the operator, what it takes, and its attributes. A node is known by
  /// the first value that it makes.
  public init(_ first: ONNXModel, _ second: ONNXModel) {
    var entries: [Entry] = []
    func compare(_ name: String, _ a: String?, _ b: String?) {
      if a != b { entries.append(Entry(name: name, first: a, second: b)) }
    }
    compare("opset", first.opsetText, second.opsetText)
    compare("ir_version", String(first.irVersion), String(second.irVersion))
    func compareAll(_ prefix: String, _ a: [(String, String)], _ b: [(String, String)]) {
      let (a, b) = (OrderedDictionary(a) { $1 }, OrderedDictionary(b) { $1 })
      for (name, text) in a { compare(prefix + name, text, b[name]) }
      for (name, text) in b where a[name] == nil { compare(prefix + name, nil, text) }
    }
    compareAll("input ", first.graph.inputs.map(\.entry), second.graph.inputs.map(\.entry))
    compareAll("output ", first.graph.outputs.map(\.entry), second.graph.outputs.map(\.entry))
    compareAll("", first.graph.allNodes.map(\.entry), second.graph.allNodes.map(\.entry))
    self.entries = entries
  }
}

extension ONNXModel {
  fileprivate var opsetText: String {
    opsets.map { $0.domain.isEmpty ? String($0.version) : "\($0.domain) \($0.version)" }.joined(separator: ", ")
  }
}

extension ONNXValueInfo {
  fileprivate var entry: (String, String) { (name, kind.description) }
}

extension ONNXNode {
  fileprivate var entry: (String, String) {
    let set = attributes.filter { $0.value.allGraphs.isEmpty && $0.value.tensor == nil }
      .map { "\($0.name)=\($0.value.text ?? String(describing: $0.value.plain))" }.sorted()
    return (
      outputs.first ?? name,
      "\(qualifiedOperation)(\(inputs.joined(separator: ", ")))" + (set.isEmpty ? "" : " \(set.joined(separator: " "))")
    )
  }
}

extension ONNXAttribute.Value {
  /// What can be compared by its text.
  fileprivate var plain: Any {
    switch self {
    case .int(let value): value
    case .float(let value): value
    case .ints(let values): values
    case .floats(let values): values
    case .strings(let values): values.map { String(decoding: $0, as: UTF8.self) }
    case .reference(let name): "@\(name)"
    default: "…"
    }
  }
}
