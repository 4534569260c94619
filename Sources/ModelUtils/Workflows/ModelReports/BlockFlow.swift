import ModelReports

/// What goes between the parts of a model: operations in the order in which they run, each of which belongs to a part or
/// stands between parts.
struct BlockFlow {
  /// Something that is computed.
  struct Step {
    /// The part that it belongs to; nil where it stands between them.
    let block: Int?
    /// What it is, for one between parts.
    let label: String
    /// The values that it takes, and those that it gives.
    let inputs: [Int], outputs: [Int]
    /// What its first output is like, in words.
    let detail: String
  }

  /// A value that the model is given.
  struct Input {
    let name: String
    let value: Int
    let detail: String
  }

  var blocks: [BlockDiagram.Block]
  var steps: [Step] = []
  var inputs: [Input] = []
  /// The values that the model gives, and what they are like.
  var outputs: [Int] = []
  var outputDetail = ""

  /// More operations that only hand on what they get are not drawn, and more of all that stand between parts.
  private static let (unaryLimit, operationLimit) = (16, 80)

  /// The parts that take part, and what goes from one to another. Operations between them are drawn where they are few;
  /// else an arrow goes through them.
  /// - Returns: nil where parts do not run one after the other, or are too many.
  func diagram(title: String) -> BlockDiagram? {
    let isDrawn = drawnSteps()
    var items: [BlockDiagram.Block] = []
    var edges: Set<BlockDiagram.Edge> = []
    var places: [Int: Int] = [:]
    var sources: [Int: Set<Int>] = [:]
    for input in inputs {
      sources[input.value] = [items.count]
      items.append(.init(input.name, detail: input.detail, kind: .port))
    }
    for (index, step) in steps.enumerated() {
      let given = step.inputs.reduce(into: Set<Int>()) { $0.formUnion(sources[$1] ?? []) }
      guard let item = step.block.flatMap({ places[$0] }) ?? (isDrawn[index] ? items.count : nil) else {
        for output in step.outputs { sources[output] = given }
        continue
      }
      if item == items.count {
        if let block = step.block {
          places[block] = item
          items.append(blocks[block])
        } else {
          items.append(.init(step.label, detail: step.detail, kind: .operation))
        }
      }
      for source in given where source != item { edges.insert(.init(source, item)) }
      for output in step.outputs { sources[output] = [item] }
    }
    if !outputs.isEmpty {
      for source in outputs.reduce(into: Set<Int>(), { $0.formUnion(sources[$1] ?? []) }) {
        edges.insert(.init(source, items.count))
      }
      items.append(.init(outputs.count == 1 ? "output" : "\(outputs.count) outputs", detail: outputDetail, kind: .port))
    }
    guard items.count <= BlockDiagram.blockLimit, edges.allSatisfy({ $0.from < $0.to }) else { return nil }
    return BlockDiagram(title: title, blocks: items, edges: edges.sorted { ($0.from, $0.to) < ($1.from, $1.to) })
  }

  private func drawnSteps() -> [Bool] {
    let known = Set(inputs.map(\.value) + steps.flatMap(\.outputs))
    let counts = steps.map { step in Set(step.inputs).intersection(known).count }
    let between = steps.indices.filter { steps[$0].block == nil }
    let joins = between.count { counts[$0] > 1 }
    let showsJoins = joins <= Self.operationLimit
    let showsAll = between.count - joins <= Self.unaryLimit && showsJoins
    return steps.indices.map { steps[$0].block != nil || showsAll || (showsJoins && counts[$0] > 1) }
  }
}
