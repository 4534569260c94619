import ModelCheckpoints
import ModelCore
import ModelONNX
import ModelReports

extension ModelBlocks {
  /// The nodes of an ONNX model, where they are few; else the parts that the names of its nodes tell of, which exporters
  /// write as paths, such as `/model.0/conv/Conv`.
  init(_ model: ONNXModel, _ trace: ONNXTrace) {
    let nodes = model.graph.nodes.enumerated().filter { $0.element.operation != "Constant" }
    let names = nodes.map { index, node in trace.nodes.indices.contains(index) ? trace.nodes[index].name : node.name }
    let macs = nodes.map { index, _ in trace.nodes.indices.contains(index) ? trace.nodes[index].macs : 0 }
    let (owners, paths) =
      nodes.count <= BlockTree.most
      ? (nodes.indices.map { Int?($0) }, names) : Self.parts(names, macs)
    self.init([])
    // Parts in the order of their first nodes.
    var places = [Int?](repeating: nil, count: paths.count)
    for (position, owner) in owners.enumerated() {
      guard let owner else { continue }
      if places[owner] == nil {
        places[owner] = blocks.count
        let type = nodes.count <= BlockTree.most ? nodes[position].element.qualifiedOperation : ""
        blocks.append(Block(path: paths[owner], type: type, macs: 0))
      }
      if let place = places[owner] { blocks[place].macs = (blocks[place].macs ?? 0) + macs[position] }
    }
    guard !blocks.isEmpty else {
      if let state = try? model.stateDict() { self = ModelBlocks(state) }
      note = "The graph of \(nodes.count) nodes is too large to be drawn, and the names of the nodes do not group them."
      return
    }
    weights = [[Tensor]](repeating: [], count: blocks.count)
    let members = owners.map { $0.flatMap { places[$0] } }
    add(model, nodes.map(\.element), members)
    diagram = Self.flow(model, trace, nodes, members, self).diagram(title: "Graph")
    if diagram == nil {
      note =
        "The graph of \(nodes.count) nodes is not drawn: the parts that their names tell of do not run one after the other."
    } else if nodes.count > BlockTree.most {
      note = "\(nodes.count) nodes, grouped by their names."
    }
    if diagram != nil, nodes.contains(where: { !$0.element.subgraphs.isEmpty }) {
      note += (note.isEmpty ? "" : " ") + "What branches and bodies take from outside them is not drawn."
    }
  }

  /// The parts that names of nodes tell of.
  /// - Returns: for each node its part, and the parts' paths; no parts where the names are no paths.
  private static func parts(_ names: [String], _ macs: [Double]) -> ([Int?], [String]) {
    var (paths, list) = (["": 0], [""])
    var tree = [BlockTree.Node(parent: nil, isContainer: false, weight: 0)]
    var places: [Int] = []
    for (name, count) in zip(names, macs) {
      // The last component is the operation.
      let parts = name.split(separator: "/", maxSplits: 64).dropLast()
      var place = 0
      tree[0].weight += count
      for depth in 0..<parts.count {
        let path = parts[...depth].joined(separator: "/")
        if paths[path] == nil {
          paths[path] = list.count
          list.append(path)
          tree.append(.init(parent: place, isContainer: false, weight: 0))
        }
        place = paths[path] ?? 0
        tree[place].weight += count
      }
      places.append(place)
    }
    guard list.count > 1 else { return (names.map { _ in nil }, []) }
    let known = BlockTree(tree)
    let chosen = known.blocks()
    let owners = known.owners(chosen)
    return (places.map { owners[$0] }, chosen.map { list[$0] })
  }

  /// Adds weights to the parts that take them first.
  private mutating func add(_ model: ONNXModel, _ nodes: [ONNXNode], _ members: [Int?]) {
    guard let state = try? model.stateDict() else { return }
    var users: [String: Int] = [:]
    for (node, member) in zip(nodes, members) {
      for name in node.inputs where !name.isEmpty { if let member, users[name] == nil { users[name] = member } }
    }
    for weight in state.namedWeights() where weight.isParameter { add(weight.tensor, to: users[weight.name]) }
  }

  private static func flow(
    _ model: ONNXModel, _ trace: ONNXTrace, _ nodes: [(offset: Int, element: ONNXNode)], _ members: [Int?],
    _ parts: ModelBlocks
  ) -> BlockFlow {
    var values: [String: Int] = [:]
    func value(_ name: String) -> Int {
      let next = values.count
      return values.updateDefault(name, next)
    }
    func text(_ names: [String]) -> String {
      ShapeText.list(names.filter { !$0.isEmpty }.compactMap { trace.types[$0]?.shape })
    }
    // What each part gives to others, or as an output.
    var makers: [String: Int] = [:]
    for ((_, node), member) in zip(nodes, members) { for name in node.outputs { makers[name] = member } }
    var given = [OrderedSet<String>](repeating: [], count: parts.blocks.count)
    func use(_ name: String, _ member: Int?) {
      if let maker = makers[name], maker != member { given[maker].append(name) }
    }
    for ((_, node), member) in zip(nodes, members) { for name in node.inputs { use(name, member) } }
    for output in model.graph.outputs { use(output.name, nil) }
    var flow = BlockFlow(
      blocks: zip(zip(parts.blocks, parts.colors), given).map { part, given in
        .init(
          part.0.path.printable(limit: 120), type: part.0.type.printable(limit: 120), detail: text(Array(given)),
          color: part.1)
      })
    if nodes.count > BlockTree.most {
      for place in parts.blocks.indices {
        flow.blocks[place].type = FigureText.count(members.count { $0 == place }, "node")
      }
    }
    flow.inputs = model.openInputs.map {
      .init(name: $0.name.printable(limit: 120), value: value($0.name), detail: text([$0.name]))
    }
    flow.steps = zip(nodes, members).map { entry, member in
      let node = entry.element
      return .init(
        block: member, label: node.operation.printable(limit: 60),
        inputs: node.inputs.filter { !$0.isEmpty }.map(value), outputs: node.outputs.filter { !$0.isEmpty }.map(value),
        detail: text(node.outputs))
    }
    flow.outputs = model.graph.outputs.map { value($0.name) }
    flow.outputDetail = text(model.graph.outputs.map(\.name))
    return flow
  }
}

extension [String: Int] {
  fileprivate mutating func updateDefault(_ key: String, _ value: Int) -> Int {
    if let known = self[key] { return known }
    self[key] = value
    return value
  }
}
