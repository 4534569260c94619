import ModelCore
import ModelGraph
import ModelInspection
import ModelReports

/// The parts that a model is shown as: with what they hold and cost, and what goes between them where that is known.
struct ModelBlocks {
  /// A part.
  struct Block {
    /// Its dotted path, or its name.
    let path: String
    /// Its class; empty where that is not known.
    let type: String
    /// The elements of its parameters, each parameter with the first part that has it.
    var parameters = 0
    /// Multiplications of all its calls; nil where they are not known.
    var macs: Double?
  }

  /// Each once, in the order in which they run or stand in the model.
  var blocks: [Block]
  /// The tensors of each that are no biases and the like, of two axes or more.
  var weights: [[Tensor]]
  /// Parameters in none of them.
  var otherParameters = 0
  /// What goes between them; nil where that is not known or cannot be drawn.
  var diagram: BlockDiagram?
  /// What is to be said of the diagram, or why there is none.
  var note = ""

  init(_ blocks: [Block]) {
    self.blocks = blocks
    weights = [[Tensor]](repeating: [], count: blocks.count)
  }

  /// The colour of every type: those of the first seven, and one for all others.
  static func colors(_ types: [String]) -> [String: Int] {
    var colors: [String: Int] = [:]
    for type in types where colors[type] == nil { colors[type] = min(colors.count, 7) }
    return colors
  }

  var colors: [Int] {
    let colors = Self.colors(blocks.map(\.type))
    return blocks.map { colors[$0.type] ?? 7 }
  }

  /// Adds the weights of a model to the parts by whose path their names begin.
  mutating func add(_ weights: [NamedWeight]) {
    let places = Dictionary(blocks.enumerated().map { ($1.path, $0) }, uniquingKeysWith: { first, _ in first })
    for weight in weights where weight.isParameter {
      var path = weight.name[...]
      var place = places[""]
      while let dot = path.lastIndex(of: ".") {
        path = path[..<dot]
        if let found = places[String(path)] {
          place = found
          break
        }
      }
      add(weight.tensor, to: place)
    }
  }

  mutating func add(_ tensor: Tensor, to place: Int?) {
    guard let place else {
      otherParameters += tensor.count
      return
    }
    blocks[place].parameters += tensor.count
    if tensor.shape.count > 1 { weights[place].append(tensor) }
  }
}

// MARK: Of modules

extension ModelBlocks {
  /// The parts of a module whose forward is known.
  init(_ module: Module, _ flops: FlopsReport) {
    let graph = flops.graph
    var macs = [Double](repeating: 0, count: graph.scopes.count)
    for (node, count) in zip(graph.nodes, flops.macs) { macs[node.scope] += count }
    var total = macs
    for (index, scope) in graph.scopes.enumerated().reversed() {
      if let parent = scope.parent { total[parent] += total[index] }
    }
    let tree = BlockTree(
      graph.scopes.enumerated().map { index, scope in
        let isContainer = scope.className?.module == "torch.nn.modules.container"
        return .init(parent: index == 0 ? nil : scope.parent ?? 0, isContainer: isContainer, weight: total[index])
      })
    let chosen = tree.blocks()
    self.init([])
    var places: [String: Int] = [:]
    for index in chosen {
      let scope = graph.scopes[index]
      let place = places[scope.path] ?? blocks.count
      if place == blocks.count {
        blocks.append(Block(path: scope.path, type: scope.className?.name ?? "", macs: 0))
        places[scope.path] = place
      }
      blocks[place].macs = (blocks[place].macs ?? 0) + total[index]
    }
    weights = [[Tensor]](repeating: [], count: blocks.count)
    add(module.namedWeights())
    let isShown = chosen.map { flow in places[graph.scopes[flow].path] ?? 0 }
    diagram = Self.flow(flops, chosen, tree.owners(chosen), colors: isShown.map { colors[$0] })
      .diagram(title: "Blocks")
    let drawn = diagram?.blocks.count { $0.kind == .block } ?? 0
    if diagram == nil {
      note = "The graph is not drawn: its \(chosen.count) parts are too many, or do not run one after the other."
    } else if drawn < chosen.count {
      note =
        "Left out: \(FigureText.count(chosen.count - drawn, "part")) without anything to do when the model is evaluated."
    }
  }

  private static func flow(_ flops: FlopsReport, _ chosen: [Int], _ owners: [Int?], colors: [Int]) -> BlockFlow {
    let (graph, shapes) = (flops.graph, flops.shapes)
    func text(_ values: [Graph.Value]) -> String { ShapeText.list(values.map { shapes[$0.index] }) }
    var calls: [String: Int] = [:]
    let blocks = zip(chosen, colors).map { index, color in
      let scope = graph.scopes[index]
      let call = calls[scope.path, default: 0] + 1
      calls[scope.path] = call
      let name = scope.path.isEmpty ? "model" : scope.path.printable(limit: 120)
      return BlockDiagram.Block(
        call > 1 ? "\(name), call \(call)" : name, type: scope.className?.name.printable(limit: 120) ?? "",
        detail: text(scope.outputs), color: color)
    }
    var flow = BlockFlow(blocks: blocks)
    flow.steps = graph.nodes.map { node in
      BlockFlow.Step(
        block: owners[node.scope], label: node.operation.label.printable(limit: 120),
        inputs: node.elementOperands.map(\.index), outputs: node.results.map(\.index), detail: text(node.results))
    }
    flow.inputs = graph.inputs.map { value in
      var name = "input"
      if case .input(let given) = graph.definitions[value.index] { name = given.printable(limit: 120) }
      return BlockFlow.Input(name: name, value: value.index, detail: text([value]))
    }
    flow.outputs = graph.outputs.map(\.index)
    flow.outputDetail = text(graph.outputs)
    return flow
  }

  /// The parts of a module of whose forward nothing is known: those of its tree.
  init(_ module: Module) {
    var paths: [String: Int] = [:]
    var nodes: [BlockTree.Node] = []
    var types: [(path: String, type: String)] = []
    module.forEachModule { path, part in
      let parent = path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
      let isContainer = part.className.module == "torch.nn.modules.container"
      let own = part.parameters.values.reduce(0) { $0 + $1.tensor.count }
      nodes.append(
        .init(parent: nodes.isEmpty ? nil : paths[parent] ?? 0, isContainer: isContainer, weight: Double(own)))
      paths[path] = types.count
      types.append((path, part.className.name))
    }
    self.init(chosenFrom: nodes) { Block(path: types[$0].path, type: types[$0].type) }
    add(module.namedWeights())
  }

  /// The parts that the names of a bare state dict tell of.
  init(_ state: StateDict) {
    let weights = state.namedWeights()
    var (paths, names) = (["": 0], [""])
    var parents: [Int?] = [nil]
    var own = [0.0]
    for weight in weights where weight.isParameter {
      // No model nests as deep; hostile names may.
      let parts = weight.name.split(separator: ".", maxSplits: 64, omittingEmptySubsequences: false).dropLast()
      var place = 0
      for depth in 0..<parts.count {
        let path = parts[...depth].joined(separator: ".")
        if paths[path] == nil {
          paths[path] = names.count
          names.append(path)
          parents.append(place)
          own.append(0)
        }
        place = paths[path] ?? 0
      }
      own[place] += Double(weight.tensor.count)
    }
    // What is only numbered inside is a list.
    var isList = [Bool](repeating: true, count: names.count)
    for (index, name) in names.enumerated() {
      guard let parent = parents[index] else { continue }
      if Int(name.split(separator: ".").last ?? "") == nil { isList[parent] = false }
    }
    self.init(
      chosenFrom: names.indices.map { .init(parent: parents[$0], isContainer: isList[$0], weight: own[$0]) }
    ) { Block(path: names[$0], type: "") }
    add(weights)
  }

  /// - Parameter nodes: each with its own weight alone.
  private init(chosenFrom nodes: [BlockTree.Node], _ block: (Int) -> Block) {
    var nodes = nodes
    for (index, node) in nodes.enumerated().reversed() {
      if let parent = node.parent { nodes[parent].weight += nodes[index].weight }
    }
    self.init(BlockTree(nodes).blocks().map(block))
  }
}
