import CEngine
import ModelCore
import ModelGraph

/// Makes a plan's program of a graph: one step after the other, in the graph's order.
struct Compiler {
  private(set) var graph: Graph
  let types: InferredTypes
  let outputs: [Graph.Value]
  /// Whether batch norms go into the weights before them.
  let foldsBatchNorms: Bool
  /// What convolutions and products take and give: float32 or bfloat16.
  let computed: DType
  var isNeeded: [Bool]
  /// Of nodes that are computed with another: the convolution or linear layer.
  var absorbed: [Int: Int] = [:]
  /// Where the last part of a fused operation stands: the layer and what goes with it.
  var fused: [Int: (layer: Int, epilogue: Epilogue)] = [:]
  private var program = Program()
  private var places: [Int: Placed] = [:]
  /// Values that were asked for in another type than the one they are stored in.
  private var retyped: [Int: Placed] = [:]
  private var pool = Constant.Pool()
  /// Values that do not depend on the inputs, as far as they were asked for.
  private var arrays: [Int: ReferenceArray] = [:]
  private var constantValues: Set<Int> = []
  /// The nodes that are being compiled: what steps belong to.
  var current: [Int] = []

  private let training: TrainingRequest?
  /// Where gradients go, by their values.
  private var destinations: [Int: Placed] = [:]
  /// What of a backward pass is computed with another node.
  var fusedNorms = FusedNorms()

  /// The most elements of a value that is computed beforehand.
  private static let foldingLimit = 1 << 24

  init(
    _ graph: Graph, _ inputs: [TensorType], _ outputs: [Graph.Value], _ precision: Precision, foldsBatchNorms: Bool,
    training: TrainingRequest? = nil
  ) throws {
    (self.graph, self.outputs, self.foldsBatchNorms) = (graph, outputs, foldsBatchNorms)
    self.training = training
    computed = precision == .bfloat16 ? .bfloat16 : .float32
    types = try graph.types(of: inputs)
    isNeeded = graph.needed(for: outputs + (training?.kept ?? []))
    for (index, definition) in graph.definitions.enumerated() {
      switch definition {
      case .weight(let path): if training?.slots[path] == nil { constantValues.insert(index) }
      case .constant: constantValues.insert(index)
      case .input, .result: break
      }
    }
    for node in graph.nodes where node.dependsOnShapesAlone || node.operands.allSatisfy({ isConstant($0) }) {
      guard node.results.allSatisfy({ types[$0].shape.reduce(1, *) <= Self.foldingLimit }) else { continue }
      for result in node.results { constantValues.insert(result.index) }
    }
  }

  mutating func compile() throws -> Program {
    for input in graph.inputs {
      let type = types[input]
      let placed = allocate(type.shape.count > 3 ? .channelsLast(type.shape) : .rowMajor(type.shape), for: input)
      program.inputs.append(placed)
    }
    addDestinations()
    findFusions()
    for (index, node) in graph.nodes.enumerated() where isNeeded[index] && !node.results.allSatisfy({ isConstant($0) })
    {
      do { try compile(index, node) } catch let error as ModelError {
        let path = graph.scopes[node.scope].path
        throw path.isEmpty ? error : error.about(path)
      }
    }
    program.outputs = try outputs.map { try place($0) }
    try addUpdates()
    layOut()
    return program
  }

  /// Finds what is computed with what, as if nothing were computed anew: so everything is computed alike each time.
  private mutating func findFusions() {
    var plain = self
    plain.graph = graph.withoutRecomputations()
    plain.isNeeded = plain.graph.needed(for: outputs + (training?.kept ?? []))
    plain.findEpilogues()
    plain.fusedNorms = FusedNorms(plain)
    (absorbed, fused, fusedNorms) = (plain.absorbed, plain.fused, plain.fusedNorms)
    guard !graph.recomputations.isEmpty else { return }
    let copies = Dictionary(graph.recomputations.map { ($1, $0) }) { first, _ in first }
    repeatEpilogues(in: copies)
    fusedNorms.repeat(in: copies, self)
  }

  private mutating func compile(_ index: Int, _ node: Graph.Node) throws {
    for result in node.results {
      // Before anything as large as it is made.
      try Storage.checkMemory(types[result].shape.reduce(1, *), elementSize: types[result].dtype.byteWidth ?? 1)
    }
    current = [index]
    if let fusion = fused[index] {
      let layer = graph.nodes[fusion.layer]
      current = absorbed.filter { $0.value == fusion.layer }.keys.sorted()
      let isDone =
        if case .convolution(let geometry) = layer.operation {
          try convolution(geometry, layer, fusion.epilogue)
        } else {
          try linear(layer, fusion.epilogue)
        }
      if isDone { return }
      // Its parts one by one, in their order.
      for part in current {
        current = [part]
        try lower(graph.nodes[part])
      }
      return
    }
    if let norm = fusedNorms.ends[index],
      case .batchNorm(.training(let momentum), let eps) = graph.nodes[norm].operation
    {
      return try batchNormInTraining(momentum, eps, graph.nodes[norm], norm)
    }
    if absorbed[index] != nil || fusedNorms.absorbed.contains(index) { return }
    try lower(node)
  }

  // MARK: Training

  /// Gradients are made where they are wanted, where they come in that order.
  private mutating func addDestinations() {
    guard let training else { return }
    for (path, value) in training.gradients {
      guard let slot = training.slots[path], destinations[value.index] == nil else { continue }
      destinations[value.index] = addVariable(.gradient(slot.offset), slot.type)
    }
  }

  private mutating func addVariable(_ place: Buffer.Place, _ type: TensorType) -> Placed {
    program.buffers.append(
      Buffer(place: place, byteCount: type.shape.reduce(1, *) * (type.dtype.byteWidth ?? 1)))
    return Placed(buffer: program.buffers.count - 1, layout: .rowMajor(type.shape), dtype: type.dtype)
  }

  /// Where a weight's gradient is wanted.
  func destination(of value: Graph.Value) -> Placed? { destinations[value.index] }

  /// Brings gradients that were made elsewhere and new running statistics to their places.
  private mutating func addUpdates() throws {
    guard let training else { return }
    current = []
    for (path, value) in training.gradients {
      guard let slot = training.slots[path] else { continue }
      let made = try place(value)
      if case .gradient(slot.offset) = program.buffers[made.buffer].place { continue }
      copy(made, to: addVariable(.gradient(slot.offset), slot.type), path: path, name: "gradient")
    }
    for (path, value) in training.updates {
      guard let slot = training.slots[path] else { continue }
      copy(try place(value), to: addVariable(.variable(slot.offset), slot.type), path: path, name: "update")
    }
  }

  // MARK: Values

  /// Whether a value is the same in every run.
  func isConstant(_ value: Graph.Value) -> Bool { constantValues.contains(value.index) }

  /// The elements of a value that does not depend on the inputs.
  mutating func array(_ value: Graph.Value) throws -> ReferenceArray {
    if let known = arrays[value.index] { return known }
    let array: ReferenceArray
    switch graph.definitions[value.index] {
    case .weight(let path):
      guard let tensor = graph.weights[path]?.tensor else { throw ModelError(.missing, "is missing", subject: path) }
      return try ReferenceArray(tensor)
    case .constant(let tensor): return try ReferenceArray(tensor)
    case .input: throw ModelError(.invalid, "an input is no constant")
    case .result(let place, let position):
      let node = graph.nodes[place]
      let operands =
        node.dependsOnShapesAlone
        ? node.operands.map { ReferenceArray(types[$0], []) } : try node.operands.map { try self.array($0) }
      let results = try Reference.compute(node.operation, operands, node.results.map { types[$0] })
      for (result, array) in zip(node.results, results) { arrays[result.index] = array }
      array = results[position]
    }
    return array
  }

  /// The same in float32.
  mutating func floats(_ value: Graph.Value) throws -> [Float] {
    try tensor(value).withContiguousBytes { Array($0.bindMemory(to: Float.self)) }
  }

  /// The same as a tensor of float32: a weight's own, where it is of that type.
  mutating func tensor(_ value: Graph.Value) throws -> Tensor {
    switch graph.definitions[value.index] {
    case .weight(let path):
      guard let tensor = graph.weights[path]?.tensor else { throw ModelError(.missing, "is missing", subject: path) }
      return try tensor.cast(to: .float32)
    case .constant(let tensor): return try tensor.cast(to: .float32)
    case .input, .result: return try array(value).tensor().cast(to: .float32)
    }
  }

  /// Where a value lies in its own type.
  mutating func place(_ value: Graph.Value) throws -> Placed { try place(value, as: types[value].dtype) }

  /// Where a value lies in a type: float32 or bfloat16, or its own.
  mutating func place(_ value: Graph.Value, as dtype: DType) throws -> Placed {
    let placed = try stored(value)
    guard placed.dtype != dtype else { return placed }
    if let known = retyped[value.index] { return known }
    let source = placed.layout.isDense ? placed : try dense(placed, as: .rowMajor(placed.layout.shape))
    let result = allocate(
      Layout(shape: source.layout.shape, strides: source.layout.strides), dtype)
    let count = max(source.layout.count, 1)
    let (from, to) = (
      try MemoryDescription([count], strides: [1], source.dtype), try MemoryDescription([count], strides: [1], dtype)
    )
    let primitive = try Primitive("conversion") { ce_reorder(&$0, from.handle, to.handle) }
    add("", "convert", primitive, [(CE_SRC, source)], [(CE_DST, result)])
    retyped[value.index] = result
    return result
  }

  /// Where a value lies in whatever type it is stored in; a constant is put among the plan's.
  mutating func stored(_ value: Graph.Value) throws -> Placed {
    if let placed = places[value.index] { return placed }
    if case .weight(let path) = graph.definitions[value.index], let slot = training?.slots[path] {
      let placed = addVariable(.variable(slot.offset), slot.type)
      places[value.index] = placed
      return placed
    }
    guard isConstant(value) else {
      throw ModelError(.invalid, "value \(value.index) is asked for before it is computed")
    }
    let tensor = try array(value).tensor()
    let constant = try pool.make(byteCount: tensor.byteCount)
    try tensor.copyBytes(to: UnsafeMutableRawBufferPointer(start: constant.pointer, count: tensor.byteCount))
    let placed = addConstant(constant, .rowMajor(tensor.shape), tensor.dtype)
    places[value.index] = placed
    return placed
  }

  /// Says where a value lies that another step has made, or that is a view of another.
  mutating func set(_ value: Graph.Value, _ placed: Placed) { places[value.index] = placed }

  /// A value in a dense layout of its own order: itself, or a copy.
  mutating func dense(_ placed: Placed, as layout: Layout) throws -> Placed {
    if placed.layout.isDense(as: layout) {
      return placed.with(Layout(shape: layout.shape, strides: layout.strides, offset: placed.layout.offset))
    }
    let result = allocate(layout, placed.dtype)
    copy(placed, to: result, path: "", name: "copy")
    return result
  }

  /// A step that moves elements.
  mutating func copy(_ source: Placed, to result: Placed, path: String, name: String) {
    let copy = Copy(source, to: result.layout)
    program.steps.append(
      Step(
        path: path, nodes: current, name: name, implementation: "own", reads: [source.buffer], writes: [result.buffer]
      ) { memory in
        let (from, to) = (memory.pointer(source), memory.pointer(result))
        return { copy.run(from, to) }
      })
  }

  // MARK: Memory

  /// Room for a value in the arena, in a dense layout.
  mutating func allocate(_ layout: Layout, _ dtype: DType) -> Placed {
    program.buffers.append(Buffer(place: .arena(0), byteCount: layout.count * (dtype.byteWidth ?? 1)))
    return Placed(buffer: program.buffers.count - 1, layout: layout, dtype: dtype)
  }

  mutating func allocate(_ layout: Layout, _ dtype: DType? = nil, for value: Graph.Value) -> Placed {
    if let wanted = destinations[value.index], wanted.layout.isDense(as: layout), dtype ?? wanted.dtype == wanted.dtype
    {
      places[value.index] = wanted
      return wanted
    }
    let placed = allocate(layout, dtype ?? types[value].dtype)
    places[value.index] = placed
    return placed
  }

  /// Memory for a constant that is filled before the plan runs.
  mutating func makeConstant(byteCount: Int) throws -> Constant { try pool.make(byteCount: byteCount) }

  mutating func addConstant(_ constant: Constant, _ layout: Layout, _ dtype: DType = .float32) -> Placed {
    program.constants.append(constant)
    program.buffers.append(Buffer(place: .constant(program.constants.count - 1), byteCount: constant.byteCount))
    return Placed(buffer: program.buffers.count - 1, layout: layout, dtype: dtype)
  }

  mutating func addConstant(_ values: [Float], _ layout: Layout) throws -> Placed {
    let constant = try pool.make(byteCount: values.count * 4)
    values.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { constant.pointer.copyMemory(from: base, byteCount: bytes.count) }
    }
    return addConstant(constant, layout)
  }

  /// Gives every buffer of the arena its place, by the steps that use it.
  private mutating func layOut() {
    var uses: [Int: (first: Int, last: Int)] = [:]
    func use(_ buffer: Int, _ step: Int) {
      uses[buffer] = (min(uses[buffer]?.first ?? step, step), max(uses[buffer]?.last ?? step, step))
    }
    for placed in program.inputs { use(placed.buffer, -1) }
    for (index, step) in program.steps.enumerated() {
      for buffer in step.reads + step.writes { use(buffer, index) }
    }
    for placed in program.outputs { use(placed.buffer, program.steps.count) }
    let inArena = program.buffers.indices.filter {
      if case .arena = program.buffers[$0].place { uses[$0] != nil } else { false }
    }
    let lives = inArena.map { (program.buffers[$0].byteCount, uses[$0]?.first ?? 0, uses[$0]?.last ?? 0) }
    let (offsets, total) = Arena.offsets(lives)
    for (buffer, offset) in zip(inArena, offsets) { program.buffers[buffer].place = .arena(offset) }
    program.arenaBytes = total
    ModelLog.logger.debug("an arena of \(total) bytes, of which at most \(Arena.most(lives)) are in use at once")
    program.scratchBytes = program.steps.map(\.scratchBytes).max() ?? 0
  }

  // MARK: Steps

  /// A step of our own.
  mutating func add(
    _ node: Graph.Node, _ name: String, _ implementation: String, reads: [Placed], writes: [Placed],
    bind: @escaping @Sendable (Memory) throws -> Step.Work
  ) {
    add(graph.scopes[node.scope].path, name, implementation, reads: reads, writes: writes, bind: bind)
  }

  mutating func add(
    _ path: String, _ name: String, _ implementation: String, reads: [Placed], writes: [Placed], scratchBytes: Int = 0,
    bind: @escaping @Sendable (Memory) throws -> Step.Work
  ) {
    program.steps.append(
      Step(
        path: path, nodes: current, name: name, implementation: implementation, reads: reads.map(\.buffer),
        writes: writes.map(\.buffer), scratchBytes: scratchBytes, bind: bind))
  }

  /// A step of oneDNN's.
  mutating func add(
    _ node: Graph.Node, _ name: String, _ primitive: Primitive, _ reads: [(ce_argument, Placed)],
    _ writes: [(ce_argument, Placed)], posts: [(argument: Int32, placed: Placed)] = []
  ) {
    add(graph.scopes[node.scope].path, name, primitive, reads, writes, posts: posts)
  }

  mutating func add(
    _ path: String, _ name: String, _ primitive: Primitive, _ reads: [(ce_argument, Placed)],
    _ writes: [(ce_argument, Placed)], posts: [(argument: Int32, placed: Placed)] = []
  ) {
    let arguments = (reads + writes).map { (Int32($0.0.rawValue), $0.1) } + posts.map { ($0.argument, $0.placed) }
    let scratch = primitive.scratchBytes
    program.steps.append(
      Step(
        path: path, nodes: current, name: name, implementation: primitive.implementation,
        reads: reads.map(\.1.buffer) + posts.map(\.placed.buffer), writes: writes.map(\.1.buffer), scratchBytes: scratch
      ) { memory in
        var bound = arguments.map { ($0.0, memory.pointer($0.1)) }
        if scratch > 0 { bound.append((Int32(CE_SCRATCHPAD.rawValue), memory.scratch)) }
        let binding = try primitive.bind(bound)
        return { try binding.run() }
      })
  }
}

extension Graph {
  /// Of each node whether one of the values follows from it.
  fileprivate func needed(for values: [Value]) -> [Bool] {
    var needed = nodes.map { _ in false }
    var taken = [Bool](repeating: false, count: definitions.count)
    for value in values { taken[value.index] = true }
    for (index, node) in nodes.enumerated().reversed() where node.results.contains(where: { taken[$0.index] }) {
      needed[index] = true
      for operand in node.operands { taken[operand.index] = true }
    }
    return needed
  }
}

extension Graph.Node {
  /// Whether what it gives follows from its operands' shapes.
  var dependsOnShapesAlone: Bool {
    switch operation {
    case .shape, .coordinates: true
    default: false
    }
  }
}
