import ModelCore

/// Reads a pickle of any protocol, 0 to 5, into a `PickleGraph`. Nothing is imported, constructed or called.
package struct PickleReader {
  /// What the file format makes of a persistent id: PyTorch's storages.
  package typealias PersistentLoad =
    (_ id: PickleGraph.Reference, _ graph: inout PickleGraph) throws -> PickleGraph.Node

  private var input: ByteReader
  private let load: PersistentLoad
  private var graph = PickleGraph()
  private var stack: [PickleGraph.Reference] = []
  private var marks: [Int] = []
  private var memo = PickleMemo()
  private var globals: [ClassName: PickleGraph.Reference] = [:]
  /// Where the frame ends that is being read.
  private var frameEnd = 0
  /// The instruction that is being read.
  private var opcode: UInt8 = 0

  /// Reads one pickle from `input`, which is left behind its STOP.
  package static func read(_ input: inout ByteReader, persistentLoad: @escaping PersistentLoad) throws -> PickleGraph {
    var reader = PickleReader(input: input, load: persistentLoad)
    do { try reader.run() } catch let stop as PythonStops { throw stop.error }
    input = reader.input
    try reader.graph.normalizeOrderedDicts()
    reader.graph.unwrapCompiledModules()
    return reader.graph
  }

  /// A pickle as far as it could be read.
  struct Audited {
    let graph: PickleGraph
    let error: ModelError?
    /// Whether the error is that the bytes end: Python stops there as well. After any other it may go on.
    let isTruncated: Bool
    /// Whether the error surely stops every unpickler of Python, too, before anything is imported or called.
    let isNoPickle: Bool
  }

  /// An error that stops each of Python's unpicklers as well.
  private struct PythonStops: Error { let error: ModelError }

  /// Reads as much of one pickle as there is, for an audit: what Python would have done before it met the error counts
  /// too.
  static func audit(_ input: inout ByteReader) -> Audited {
    // A persistent id stands for a storage, or in older files for the class of a module.
    var reader = PickleReader(input: input) { id, graph in
      guard let parts = graph.tuple(id), parts.count > 1, graph.text(parts[0]) == "module" else { return .none }
      return graph.nodes[parts[1]]
    }
    var failure: ModelError?
    var stop: PythonStops?
    do {
      try reader.run()
    } catch {
      stop = error as? PythonStops
      failure = stop?.error ?? error as? ModelError ?? ModelError(.malformed, "\(error)")
    }
    // At the end of the bytes Python's own unpickler takes a name without its line feed.
    let isNaming = [UInt8(ascii: "c"), UInt8(ascii: "i")].contains(reader.opcode)
    let stopsPython = stop != nil || reader.input.isExhausted && !isNaming
    let isInert = reader.graph.calls.isEmpty && !reader.graph.nodes.contains { $0.isGlobal }
    let isTruncated = reader.input.isExhausted || reader.input.offset >= reader.input.end
    input = reader.input
    do { try reader.graph.normalizeOrderedDicts() } catch {
      failure = failure ?? error as? ModelError
    }
    return Audited(
      graph: reader.graph, error: failure, isTruncated: isTruncated, isNoPickle: stopsPython && isInert)
  }

  private init(input: ByteReader, load: @escaping PersistentLoad) {
    self.input = input
    self.load = load
    // Most objects take more bytes than this.
    graph.nodes.reserveCapacity(min((input.end - input.offset) / 8, 1 << 20))
  }

  private mutating func run() throws {
    while true {
      let start = input.offset
      guard start < input.end else { throw stop("the pickle is truncated: it has no STOP") }
      opcode = UInt8(try input.uint8())
      if opcode == UInt8(ascii: ".") {
        graph.root = try pop()
        return
      }
      try step(opcode, at: start)
      guard start >= frameEnd || input.offset <= frameEnd || opcode == 0x95 else {
        throw input.error("the pickle is damaged: a frame ends within an instruction")
      }
      guard graph.nodes.count <= PickleGraph.nodeLimit, stack.count <= PickleGraph.nodeLimit,
        marks.count <= PickleGraph.nodeLimit, memo.count <= PickleGraph.nodeLimit
      else { throw input.error("the pickle describes more than \(PickleGraph.nodeLimit) objects") }
    }
  }

  private func stop(_ reason: String) -> PythonStops { PythonStops(error: input.error(reason)) }

  /// The error of a line that should be a number: without a digit it is none to Python either, but for `nan` and `inf`.
  private func noNumber(_ reason: String, _ line: String) -> any Error {
    let text = line.lowercased()
    let mayBeOne = text.contains { $0.isNumber } || text.contains("nan") || text.contains("inf")
    return mayBeOne ? input.error(reason) : stop(reason)
  }

  // MARK: Opcodes

  /// Instructions that take objects from outside the pickle: extensions and buffers.
  private static let outside: Set<UInt8> = [0x82, 0x83, 0x84, 0x97, 0x98]

  private mutating func step(_ opcode: UInt8, at start: Int) throws {
    switch UnicodeScalar(opcode) {
    case "\u{80}":
      let version = try input.uint8()
      guard version <= 5 else { throw input.error("pickle protocol \(version) is not supported") }
    case "\u{95}": try beginFrame(at: start)

    // Constants
    case "N": push(.none)
    case "\u{88}": push(.bool(true))
    case "\u{89}": push(.bool(false))
    case "K": push(.int(try input.uint8()))
    case "M": push(.int(try input.uint16()))
    case "J": push(.int(try input.int32()))
    case "\u{8a}": push(Self.integer(Array(try input.bytes(try input.uint8()))))
    case "\u{8b}": push(Self.integer(Array(try input.bytes(try length(input.int32())))))
    case "I", "L": push(try decimalInteger(opcode))
    case "G": push(.double(try input.bigEndianDouble()))
    case "F":
      let line = try asciiLine()
      guard let value = Double(line) else { throw noNumber("the pickle holds the number '\(line)'", line) }
      push(.double(value))
    case "X": push(Self.text(try input.bytes(try input.uint32())))
    case "\u{8c}": push(Self.text(try input.bytes(try input.uint8())))
    case "\u{8d}": push(Self.text(try input.bytes(try input.size())))
    case "V":
      push(
        try PickleEscapes.rawUnicode(try input.line()).map { $0.withUnsafeBytes(Self.text) }
          ?? { throw input.error("bad text escape") }())
    case "U": push(.python2String(Array(try input.bytes(try input.uint8()))))
    case "T": push(.python2String(Array(try input.bytes(try length(input.int32())))))
    case "S":
      push(
        try PickleEscapes.python2Literal(try input.line()).map { .python2String($0) }
          ?? { throw input.error("bad string literal") }())
    case "C": push(.bytes(Array(try input.bytes(try input.uint8()))))
    case "B": push(.bytes(Array(try input.bytes(try input.uint32()))))
    case "\u{8e}": push(.bytes(Array(try input.bytes(try input.size()))))
    case "\u{96}": push(.byteArray(Array(try input.bytes(try input.size()))))

    // Containers
    case "(": marks.append(stack.count)
    case ")": push(.tuple([]))
    case "\u{85}": push(.tuple(try pop(1)))
    case "\u{86}": push(.tuple(try pop(2)))
    case "\u{87}": push(.tuple(try pop(3)))
    case "t": push(.tuple(try popMark()))
    case "]": push(.list([]))
    case "l": push(.list(try popMark()))
    case "}": push(.dict([]))
    case "d": push(.dict(try pairs(try popMark())))
    case "\u{8f}": push(.set([]))
    case "\u{91}": push(.frozenSet(try popMark()))
    case "a": try append(try pop(1))
    case "e": try append(try popMark())
    case "\u{90}": try add(try popMark())
    case "s": try assign(try pop(2))
    case "u": try assign(try popMark())

    // Classes, calls, state
    case "c":
      let module = try utf8Line()
      push(global: ClassName(module, try utf8Line()))
    case "\u{93}":
      let parts = try pop(2)
      guard let module = graph.text(parts[0]), let name = graph.text(parts[1]) else {
        throw input.error("a class is not named by text")
      }
      push(global: ClassName(module, name))
    case "R":
      let parts = try pop(2)
      try pushCall(.reduce, parts[0], parts[1])
    case "\u{81}":
      let parts = try pop(2)
      try pushCall(.newObject, parts[0], parts[1])
    case "\u{92}":
      let parts = try pop(3)
      try pushCall(.newObjectWithKeywords(parts[2]), parts[0], parts[1])
    case "i":
      let module = try utf8Line()
      let callable = reference(global: ClassName(module, try utf8Line()))
      try pushCall(.reduce, callable, graph.add(.tuple(try popMark())))
    case "o":
      let parts = try popMark()
      guard let callable = parts.first else { throw input.error("an object has no class") }
      try pushCall(.reduce, callable, graph.add(.tuple(Array(parts.dropFirst()))))
    case "b": try build(try pop())
    case "Q":
      let id = try pop()
      push(try load(id, &graph))
    case "P":
      throw stop(
        "persistent ids written as text (pickle protocol 0) cannot be resolved; PyTorch cannot load them either")

    // Stack and memo
    case "0":
      if let mark = marks.last, mark == stack.count { marks.removeLast() } else { _ = try pop() }
    case "1": _ = try popMark()
    case "2": stack.append(try top())
    case "p": memo.set(try memoIndex(try asciiLine()), to: try top())
    case "q": memo.set(try input.uint8(), to: try top())
    case "r": memo.set(try input.uint32(), to: try top())
    case "\u{94}": memo.set(memo.count, to: try top())
    case "g": try recall(try memoIndex(try asciiLine()))
    case "h": try recall(try input.uint8())
    case "j": try recall(try input.uint32())

    default:
      let error = ModelError(
        .unsupported,
        "the pickle is damaged: opcode 0x\(String(opcode, radix: 16)) is not known or needs Python's registry of extensions or buffers",
        file: input.file.name, offset: start)
      if Self.outside.contains(opcode) { throw error }
      throw PythonStops(error: error)
    }
  }

  /// Python reads a frame's bytes ahead, and what of an instruction stands behind its end is not the same to all of its
  /// unpicklers.
  private mutating func beginFrame(at start: Int) throws {
    let size = try input.size()
    guard start >= frameEnd else { throw input.error("the pickle is damaged: a frame begins within another") }
    guard size <= input.end - input.offset else { throw input.error("the pickle is damaged: a frame is cut off") }
    frameEnd = input.offset + size
  }

  // MARK: Stack

  private mutating func push(_ node: PickleGraph.Node) { stack.append(graph.add(node)) }

  private mutating func push(global name: ClassName) { stack.append(reference(global: name)) }

  private mutating func reference(global name: ClassName) -> PickleGraph.Reference {
    if let known = globals[name] { return known }
    let reference = graph.add(.global(name))
    globals[name] = reference
    return reference
  }

  private func top() throws -> PickleGraph.Reference {
    guard let top = stack.last, stack.count > marks.last ?? 0 else {
      throw stop("the pickle is damaged: its stack is empty")
    }
    return top
  }

  private mutating func pop() throws -> PickleGraph.Reference {
    let top = try top()
    stack.removeLast()
    return top
  }

  private mutating func pop(_ count: Int) throws -> [PickleGraph.Reference] {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw stop("the pickle is damaged: its stack is empty")
    }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popMark() throws -> [PickleGraph.Reference] {
    guard let mark = marks.popLast() else { throw stop("the pickle is damaged: a MARK is missing") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func recall(_ index: Int) throws {
    guard let reference = memo[index] else {
      throw stop("the pickle is damaged: memo \(index) was never set")
    }
    stack.append(reference)
  }

  // MARK: Filling objects

  private func pairs(_ items: [PickleGraph.Reference]) throws -> [PickleGraph.Entry] {
    guard items.count % 2 == 0 else { throw input.error("the pickle is damaged: a key has no value") }
    return stride(from: 0, to: items.count, by: 2).map { .init(key: items[$0], value: items[$0 + 1]) }
  }

  private mutating func append(_ items: [PickleGraph.Reference]) throws {
    let target = try top()
    if case .call(let index) = graph.nodes[target] {
      graph.calls[index].items.append(contentsOf: items)
    } else if !graph.nodes[target].append(items) {
      throw input.error("the pickle is damaged: items are appended to what is no list")
    }
  }

  private mutating func add(_ items: [PickleGraph.Reference]) throws {
    let target = try top()
    if case .call(let index) = graph.nodes[target] {
      graph.calls[index].items.append(contentsOf: items)
    } else if !graph.nodes[target].insert(items) {
      throw input.error("the pickle is damaged: items are added to what is no set")
    }
  }

  private mutating func assign(_ items: [PickleGraph.Reference]) throws {
    let entries = try pairs(items)
    let target = try top()
    if case .call(let index) = graph.nodes[target] {
      graph.calls[index].entries.append(contentsOf: entries)
    } else if !graph.nodes[target].append(entries) {
      throw input.error("the pickle is damaged: entries are added to what is no dict")
    }
  }

  private mutating func pushCall(
    _ kind: PickleGraph.Call.Kind, _ callable: PickleGraph.Reference, _ arguments: PickleGraph.Reference
  ) throws {
    guard graph.tuple(arguments) != nil else {
      throw input.error("the pickle is damaged: a call's arguments are no tuple")
    }
    stack.append(graph.addCall(.init(kind: kind, callable: callable, arguments: arguments)))
  }

  private mutating func build(_ state: PickleGraph.Reference) throws {
    let target = try top()
    guard case .call(let index) = graph.nodes[target] else {
      throw input.error("the pickle is damaged: a state is given to what takes none")
    }
    graph.calls[index].states.append(state)
  }

  // MARK: Numbers and text

  private func length(_ value: Int) throws -> Int {
    guard value >= 0 else { throw input.error("the pickle is damaged: a negative length") }
    return value
  }

  private func memoIndex(_ line: String) throws -> Int {
    guard let index = Int(line), index >= 0 else { throw noNumber("the pickle is damaged: memo '\(line)'", line) }
    return index
  }

  private mutating func asciiLine() throws -> String {
    let line = try input.line()
    guard line.count <= 4096, line.allSatisfy({ $0 < 0x80 }) else {
      throw input.error("the pickle is damaged: a long or non-ASCII number")
    }
    return String(decoding: line, as: UTF8.self)
  }

  private mutating func utf8Line() throws -> String {
    guard let line = String(sound: try input.line()) else {
      throw input.error("the pickle is damaged: a class name is not UTF-8")
    }
    return line
  }

  private mutating func decimalInteger(_ opcode: UInt8) throws -> PickleGraph.Node {
    var line = try asciiLine()
    if opcode == UInt8(ascii: "I"), line == "00" || line == "01" { return .bool(line == "01") }
    if opcode == UInt8(ascii: "L"), line.last == "L" { line.removeLast() }
    if let value = Int(line) { return .int(value) }
    guard let bytes = PickleEscapes.bigInteger(line) else {
      throw noNumber("the pickle holds the integer '\(line.prefix(40))'", line)
    }
    return .bigInt(bytes)
  }

  /// A little-endian two's complement integer of any length.
  private static func integer(_ bytes: [UInt8]) -> PickleGraph.Node {
    guard bytes.count <= 8 else { return .bigInt(bytes) }
    let fill: UInt64 = (bytes.last ?? 0) & 0x80 == 0 ? 0 : .max
    let value = bytes.reversed().reduce(fill) { $0 << 8 | UInt64($1) }
    return .int(Int(Int64(bitPattern: value)))
  }

  private static func text(_ bytes: UnsafeRawBufferPointer) -> PickleGraph.Node {
    String(sound: bytes).map { .string($0) } ?? .surrogateString(Array(bytes))
  }
}

extension PickleGraph.Node {
  fileprivate var isGlobal: Bool { if case .global = self { true } else { false } }

  // While an array grows nobody else may hold it: each batch of a long list would copy what came before.

  /// Adds items to a list; false where it is none.
  fileprivate mutating func append(_ items: [PickleGraph.Reference]) -> Bool {
    guard case .list(var list) = self else { return false }
    self = .none
    list.append(contentsOf: items)
    self = .list(list)
    return true
  }

  /// Adds items to a set; false where it is none.
  fileprivate mutating func insert(_ items: [PickleGraph.Reference]) -> Bool {
    guard case .set(var set) = self else { return false }
    self = .none
    set.append(contentsOf: items)
    self = .set(set)
    return true
  }

  /// Adds entries to a dict; false where it is none.
  fileprivate mutating func append(_ entries: [PickleGraph.Entry]) -> Bool {
    guard case .dict(var dict) = self else { return false }
    self = .none
    dict.append(contentsOf: entries)
    self = .dict(dict)
    return true
  }
}
