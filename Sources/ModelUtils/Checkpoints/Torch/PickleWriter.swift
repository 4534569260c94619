import ModelCore

/// Writes a `PickleGraph` as a pickle: protocol 2, PyTorch's own, unless an object needs a later one.
///
/// Objects that occur once are not put into the memo, but for those inside an object that a part of it may refer back
/// to. Storages become persistent ids; `storageKey` names them in the order in which they are met.
package struct PickleWriter {
  private let graph: PickleGraph
  private var output: [UInt8] = []
  private var uses: [UInt32]
  private var memo: [PickleGraph.Reference: Int] = [:]
  private var memoCount = 0
  private var work: [Work]
  private var protocolVersion: UInt8 = 2
  private let storageKey: (Storage) -> Int
  private var names: [ClassName: Int] = [:]
  /// How many tuples, frozen sets and calls that occur more than once have been begun but do not exist yet.
  private var unfinished = 0
  /// Calls that were met again among their own arguments, each with all that leads to it.
  private var cycles: [PickleGraph.Reference: Set<PickleGraph.Reference>]
  /// Those of them that have been begun, and objects whose states wait until they are made.
  private var open: [(call: PickleGraph.Reference, waiting: [PickleGraph.Reference])] = []
  private var begun: Set<PickleGraph.Reference> = []
  private var metAgain: Set<PickleGraph.Reference> = []

  private enum Work {
    case object(PickleGraph.Reference)
    case opcode(UInt8)
    case mark
    /// The end of a tuple of so many items.
    case tuple(PickleGraph.Reference, Int)
    /// The end of a call: the opcode, then the memo, then its contents.
    case call(PickleGraph.Reference, UInt8)
    case frozenSet(PickleGraph.Reference)
  }

  package static func write(_ graph: PickleGraph, storageKey: @escaping (Storage) -> Int) -> [UInt8] {
    var cycles: [PickleGraph.Reference: Set<PickleGraph.Reference>] = [:]
    while true {
      var writer = PickleWriter(graph: graph, cycles: cycles, storageKey: storageKey)
      writer.run()
      let found = writer.metAgain.filter { cycles[$0] == nil }
      guard !found.isEmpty, cycles.count < Self.cycleLimit else {
        return [0x80, writer.protocolVersion] + writer.output + [UInt8(ascii: ".")]
      }
      for call in found { cycles[call] = graph.leading(to: call) }
    }
  }

  /// Far more traced networks than a model consists of.
  private static let cycleLimit = 64

  private init(
    graph: PickleGraph, cycles: [PickleGraph.Reference: Set<PickleGraph.Reference>],
    storageKey: @escaping (Storage) -> Int
  ) {
    self.graph = graph
    self.cycles = cycles
    self.storageKey = storageKey
    uses = [UInt32](repeating: 0, count: graph.nodes.count)
    work = [.object(graph.root)]
    countUses()
  }

  /// How often each object is referred to from what the root reaches.
  private mutating func countUses() {
    var pending = [graph.root]
    uses[graph.root] = 1
    while let reference = pending.popLast() {
      var parts = graph.call(reference).map { [$0.callable] } ?? []
      graph.forEachPart(of: reference) { parts.append($0) }
      for part in parts {
        uses[part] += 1
        if uses[part] == 1 { pending.append(part) }
      }
    }
  }

  private mutating func run() {
    while let item = work.popLast() {
      switch item {
      case .object(let reference): write(reference)
      case .opcode(let opcode): output.append(opcode)
      case .mark: output.append(UInt8(ascii: "("))
      case .tuple(let reference, let count): endTuple(reference, count)
      case .frozenSet(let reference): endFrozenSet(reference)
      case .call(let reference, let opcode): endCall(reference, opcode)
      }
    }
  }

  // MARK: Objects

  private mutating func write(_ reference: PickleGraph.Reference) {
    if let index = memo[reference] { return recall(index) }
    switch graph.nodes[reference] {
    case .none: output.append(UInt8(ascii: "N"))
    case .bool(let value): output.append(value ? 0x88 : 0x89)
    case .int(let value): write(int: value)
    case .bigInt(let bytes): write(bigInteger: bytes)
    case .double(let value):
      output.append(UInt8(ascii: "G"))
      append(value.bitPattern.bigEndian)
    case .string(let text): atom(reference) { $0.write(text: Array(text.utf8)) }
    case .surrogateString(let bytes): atom(reference) { $0.write(text: bytes) }
    case .python2String(let bytes):
      atom(reference) { $0.write(bytes, short: UInt8(ascii: "U"), long: UInt8(ascii: "T")) }
    case .bytes(let bytes):
      atom(reference) {
        $0.require(3)
        $0.write(bytes, short: UInt8(ascii: "C"), long: UInt8(ascii: "B"))
      }
    case .byteArray(let bytes):
      atom(reference) {
        $0.require(5)
        $0.output.append(0x96)
        $0.append(UInt64(bytes.count))
        $0.output += bytes
      }
    case .tuple(let items): begin(tuple: items, reference)
    case .list(let items):
      atom(reference) { $0.output.append(UInt8(ascii: "]")) }
      pushItems(items, opcode: UInt8(ascii: "e"))
    case .set(let items):
      atom(reference) {
        $0.require(4)
        $0.output.append(0x8f)
      }
      pushItems(items, opcode: 0x90)
    case .frozenSet(let items):
      require(4)
      begin(reference)
      output.append(UInt8(ascii: "("))
      work.append(.frozenSet(reference))
      pushObjects(items)
    case .dict(let entries):
      atom(reference) { $0.output.append(UInt8(ascii: "}")) }
      pushEntries(entries)
    case .global(let name): atom(reference) { $0.write(global: name) }
    case .call(let index): begin(call: graph.calls[index], reference)
    case .storage(let index):
      let record = graph.storages[index]
      write(storage: record.storage, record.className, record.location, record.elementCount)
    case .tensor(let index): atom(reference) { $0.write(tensor: $0.graph.tensors[index]) }
    }
  }

  /// Writes something without parts that may be referred to again.
  private mutating func atom(_ reference: PickleGraph.Reference, _ body: (inout PickleWriter) -> Void) {
    body(&self)
    memoize(reference)
  }

  private mutating func begin(tuple items: [PickleGraph.Reference], _ reference: PickleGraph.Reference) {
    guard !items.isEmpty else { return output.append(UInt8(ascii: ")")) }
    begin(reference)
    if items.count > 3 { output.append(UInt8(ascii: "(")) }
    work.append(.tuple(reference, items.count))
    pushObjects(items)
  }

  private mutating func endTuple(_ reference: PickleGraph.Reference, _ count: Int) {
    end(reference)
    // A tuple that a part of it refers back to has been written meanwhile: drop the parts and use that one.
    if let index = memo[reference] {
      output += count > 3 ? [UInt8(ascii: "1")] : [UInt8](repeating: UInt8(ascii: "0"), count: count)
      return recall(index)
    }
    output.append(count > 3 ? UInt8(ascii: "t") : [0x85, 0x86, 0x87][count - 1])
    memoize(reference)
  }

  private mutating func endFrozenSet(_ reference: PickleGraph.Reference) {
    end(reference)
    if let index = memo[reference] {
      output.append(UInt8(ascii: "1"))
      return recall(index)
    }
    output.append(0x91)
    memoize(reference)
  }

  private mutating func begin(call: PickleGraph.Call, _ reference: PickleGraph.Reference) {
    begin(reference)
    if case .reduce = call.kind, !begun.insert(reference).inserted { metAgain.insert(reference) }
    if cycles[reference] != nil { open.append((reference, [])) }
    switch call.kind {
    case .reduce: work.append(.call(reference, UInt8(ascii: "R")))
    case .newObject: work.append(.call(reference, 0x81))
    case .newObjectWithKeywords(let keywords):
      require(4)
      work.append(.call(reference, 0x92))
      work.append(.object(keywords))
    }
    work.append(.object(call.arguments))
    work.append(.object(call.callable))
  }

  private mutating func endCall(_ reference: PickleGraph.Reference, _ opcode: UInt8) {
    end(reference)
    if let index = memo[reference] {
      output += [UInt8](repeating: UInt8(ascii: "0"), count: opcode == 0x92 ? 3 : 2)
      return recall(index)
    }
    output.append(opcode)
    memoize(reference)
    guard let call = graph.call(reference) else { return }
    if cycles[reference] != nil, let ended = open.popLast() { pushStates(of: ended.waiting) }
    if let last = open.indices.last, memo[reference] != nil,
      call.states.contains(where: { cycles[open[last].call]?.contains($0) == true })
    {
      open[last].waiting.append(reference)
    } else {
      pushStates(call.states)
    }
    pushEntries(call.entries)
    pushItems(call.items, opcode: UInt8(ascii: "e"))
  }

  private mutating func pushStates(_ states: [PickleGraph.Reference]) {
    for state in states.reversed() {
      work.append(.opcode(UInt8(ascii: "b")))
      work.append(.object(state))
    }
  }

  /// What a call takes must be there when it is made; the states of objects that lead back to it come afterwards.
  private mutating func pushStates(of objects: [PickleGraph.Reference]) {
    for object in objects.reversed() {
      work.append(.opcode(UInt8(ascii: "0")))
      pushStates(graph.call(object)?.states ?? [])
      work.append(.object(object))
    }
  }

  private mutating func begin(_ reference: PickleGraph.Reference) {
    if uses[reference] > 1 { unfinished += 1 }
  }

  private mutating func end(_ reference: PickleGraph.Reference) {
    if uses[reference] > 1 { unfinished -= 1 }
  }

  private mutating func pushItems(_ items: [PickleGraph.Reference], opcode: UInt8) {
    guard !items.isEmpty else { return }
    work.append(.opcode(opcode))
    pushObjects(items)
    work.append(.mark)
  }

  private mutating func pushEntries(_ entries: [PickleGraph.Entry]) {
    guard !entries.isEmpty else { return }
    work.append(.opcode(UInt8(ascii: "u")))
    for entry in entries.reversed() {
      work.append(.object(entry.value))
      work.append(.object(entry.key))
    }
    work.append(.mark)
  }

  private mutating func pushObjects(_ items: [PickleGraph.Reference]) {
    work.append(contentsOf: items.reversed().lazy.map { .object($0) })
  }

  // MARK: Memo

  private mutating func memoize(_ reference: PickleGraph.Reference) {
    guard uses[reference] > 1 || unfinished > 0, memo[reference] == nil else { return }
    memo[reference] = put()
  }

  private mutating func put() -> Int {
    let index = memoCount
    memoCount += 1
    if index < 256 {
      output += [UInt8(ascii: "q"), UInt8(index)]
    } else {
      output.append(UInt8(ascii: "r"))
      append(UInt32(index))
    }
    return index
  }

  private mutating func recall(_ index: Int) {
    if index < 256 {
      output += [UInt8(ascii: "h"), UInt8(index)]
    } else {
      output.append(UInt8(ascii: "j"))
      append(UInt32(index))
    }
  }

  // MARK: Tensors

  private mutating func write(storage: Storage, _ className: ClassName, _ location: String, _ count: Int) {
    output.append(UInt8(ascii: "("))
    write(text: Array("storage".utf8))
    write(sharedGlobal: className)
    write(text: Array(String(storageKey(storage)).utf8))
    write(text: Array(location.utf8))
    write(int: count)
    output += [UInt8(ascii: "t"), UInt8(ascii: "Q")]
  }

  private mutating func write(tensor new: PickleGraph.NewTensor) {
    let tensor = new.tensor
    let isParameter = new.parameterRequiresGrad != nil
    if isParameter { write(sharedGlobal: ClassName("torch._utils", "_rebuild_parameter")) }
    let description = TorchTypes.Description(tensor)
    write(sharedGlobal: description.function)
    output.append(UInt8(ascii: "("))
    write(storage: tensor.storage, description.storageClass, new.location, description.storageCount)
    write(int: description.offset)
    write(ints: description.shape)
    write(ints: description.strides)
    output.append(0x89)
    writeEmptyOrderedDict()
    if let dtype = description.dtype { write(sharedGlobal: dtype) }
    output += [UInt8(ascii: "t"), UInt8(ascii: "R")]
    if let requiresGrad = new.parameterRequiresGrad {
      output.append(requiresGrad ? 0x88 : 0x89)
      writeEmptyOrderedDict()
      output += [0x87, UInt8(ascii: "R")]
    }
  }

  private mutating func writeEmptyOrderedDict() {
    write(sharedGlobal: ClassName("collections", "OrderedDict"))
    output += [UInt8(ascii: ")"), UInt8(ascii: "R")]
  }

  private mutating func write(ints: [Int]) {
    guard !ints.isEmpty else { return output.append(UInt8(ascii: ")")) }
    output.append(UInt8(ascii: "("))
    for value in ints { write(int: value) }
    output.append(UInt8(ascii: "t"))
  }

  // MARK: Atoms

  private mutating func require(_ version: UInt8) { protocolVersion = max(protocolVersion, version) }

  private mutating func write(int value: Int) {
    switch value {
    case 0...0xff: output += [UInt8(ascii: "K"), UInt8(value)]
    case 0...0xffff:
      output.append(UInt8(ascii: "M"))
      append(UInt16(value))
    case Int(Int32.min)...Int(Int32.max):
      output.append(UInt8(ascii: "J"))
      append(Int32(value))
    default:
      output += [0x8a, 8]
      append(value)
    }
  }

  private mutating func write(bigInteger bytes: [UInt8]) {
    if bytes.count < 256 {
      output += [0x8a, UInt8(bytes.count)]
    } else {
      output.append(0x8b)
      append(UInt32(truncatingIfNeeded: bytes.count))
    }
    output += bytes
  }

  private mutating func write(text bytes: [UInt8]) {
    if bytes.count <= Int(UInt32.max) {
      output.append(UInt8(ascii: "X"))
      append(UInt32(bytes.count))
    } else {
      require(4)
      output.append(0x8d)
      append(UInt64(bytes.count))
    }
    output += bytes
  }

  private mutating func write(_ bytes: [UInt8], short: UInt8, long: UInt8) {
    if bytes.count < 256 {
      output += [short, UInt8(bytes.count)]
    } else if bytes.count <= Int(Int32.max) {
      output.append(long)
      append(UInt32(bytes.count))
    } else {
      require(4)
      output.append(0x8e)
      append(UInt64(bytes.count))
    }
    output += bytes
  }

  private mutating func write(global name: ClassName) {
    // Dotted names are looked up part by part from protocol 4 on.
    if name.name.contains(".") { require(4) }
    output.append(UInt8(ascii: "c"))
    output += Array(name.module.utf8) + [0x0a] + Array(name.name.utf8) + [0x0a]
  }

  /// A class or function that the writer itself needs again and again.
  private mutating func write(sharedGlobal name: ClassName) {
    if let index = names[name] { return recall(index) }
    write(global: name)
    names[name] = put()
  }

  private mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { output += $0 }
  }
}
