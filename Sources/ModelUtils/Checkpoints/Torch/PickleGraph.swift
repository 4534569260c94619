import ModelCore

/// The objects that a pickle describes, as data: classes are names, calls are never made.
///
/// Objects stand in one array and refer to each other by index, so that sharing, cycles and any depth of nesting cost
/// nothing and copies are values.
package struct PickleGraph: Sendable {
  package typealias Reference = Int

  package struct Entry: Sendable {
    package var key: Reference
    package var value: Reference
  }

  package enum Node: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    /// An integer beyond 64 bits, as little-endian two's complement.
    case bigInt([UInt8])
    case double(Double)
    case string(String)
    /// Text that holds lone surrogates, as Python encodes it.
    case surrogateString([UInt8])
    case bytes([UInt8])
    case byteArray([UInt8])
    /// A Python 2 `str`.
    case python2String([UInt8])
    case tuple([Reference])
    case list([Reference])
    case dict([Entry])
    case set([Reference])
    case frozenSet([Reference])
    /// A class or function, named but not looked up.
    case global(ClassName)
    /// Something that Python makes by a call; an index into `calls`.
    case call(Int)
    /// An index into `storages`.
    case storage(Int)
    /// A tensor that surgery put here; an index into `tensors`.
    case tensor(Int)
  }

  /// An object that Python makes by calling `callable`, then fills.
  package struct Call: Sendable {
    package enum Kind: Sendable {
      /// `callable(*arguments)`
      case reduce
      /// `callable.__new__(callable, *arguments)`
      case newObject
      /// `callable.__new__(callable, *arguments, **keywords)`
      case newObjectWithKeywords(Reference)
    }

    package var kind: Kind
    package var callable: Reference
    /// A tuple.
    package var arguments: Reference
    /// What `append` and `add` put in.
    package var items: [Reference] = []
    /// What item assignment put in.
    package var entries: [Entry] = []
    /// What `__setstate__` or the update of `__dict__` was given.
    package var states: [Reference] = []
  }

  /// A storage that tensors of the file refer to.
  package struct StorageRecord: Sendable {
    package var storage: Storage
    /// `torch.FloatStorage` and the like, or `torch.storage.UntypedStorage`.
    package var className: ClassName
    /// The device it was saved from, such as `cpu` or `cuda:0`.
    package var location: String
    package var elementCount: Int
  }

  /// A tensor that is to be written in place of an object of the file.
  package struct NewTensor: Sendable {
    var tensor: Tensor
    /// Nil for a plain tensor, the flag for a `torch.nn.Parameter`.
    var parameterRequiresGrad: Bool?
    /// The device that it is said to be saved from.
    var location: String
  }

  package var nodes: [Node] = []
  package var calls: [Call] = []
  package var storages: [StorageRecord] = []
  package var tensors: [NewTensor] = []
  package var root: Reference = 0
  /// How many modules were wrapped by torch.compile.
  private(set) var compiledModules = 0

  /// How deep classes may be nested in each other.
  private static let nestingLimit = 16

  /// The most objects that a pickle may describe: some 200 MB of them.
  static let nodeLimit = 8 << 20

  package mutating func add(_ node: Node) -> Reference {
    nodes.append(node)
    return nodes.count - 1
  }

  mutating func addCall(_ call: Call) -> Reference {
    calls.append(call)
    return add(.call(calls.count - 1))
  }
}

// MARK: Looking at objects

extension PickleGraph {
  package func call(_ reference: Reference) -> Call? {
    if case .call(let index) = nodes[reference] { calls[index] } else { nil }
  }

  /// The class or function that an object names: a global, or one nested in a class, which protocols up to 3 write as
  /// `getattr(Outer, 'Inner')`.
  package func className(_ reference: Reference) -> ClassName? { className(reference, depth: 0) }

  private func className(_ reference: Reference, depth: Int) -> ClassName? {
    if case .global(let name) = nodes[reference] { return name }
    guard depth < Self.nestingLimit, let call = call(reference), case .reduce = call.kind,
      case .global(let function) = nodes[call.callable], function.name == "getattr",
      ["builtins", "__builtin__"].contains(function.module),
      let arguments = tuple(call.arguments), arguments.count == 2, let inner = text(arguments[1]),
      let outer = className(arguments[0], depth: depth + 1), PickleVerdict.isOfTheModel(outer),
      !PickleVerdict.hasDangerousPart(inner)
    else { return nil }
    return ClassName(outer.module, outer.name + "." + inner)
  }

  package func isNone(_ reference: Reference) -> Bool {
    if case .none = nodes[reference] { true } else { false }
  }

  package func int(_ reference: Reference) -> Int? {
    switch nodes[reference] {
    case .int(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  package func bool(_ reference: Reference) -> Bool? {
    if case .bool(let value) = nodes[reference] { value } else { nil }
  }

  /// Text, of Python 3 or (as UTF-8) of Python 2.
  package func text(_ reference: Reference) -> String? {
    switch nodes[reference] {
    case .string(let text): text
    case .python2String(let bytes): String(sound: bytes)
    default: nil
    }
  }

  package func tuple(_ reference: Reference) -> [Reference]? {
    if case .tuple(let items) = nodes[reference] { items } else { nil }
  }

  /// The items of a tuple or list.
  package func sequence(_ reference: Reference) -> [Reference]? {
    switch nodes[reference] {
    case .tuple(let items), .list(let items): items
    default: nil
    }
  }

  /// A tuple or list of integers, or a `torch.Size`.
  func ints(_ reference: Reference) -> [Int]? {
    if let call = call(reference), className(call.callable) == ClassName("torch", "Size"),
      let arguments = tuple(call.arguments), arguments.count == 1
    {
      return sequence(arguments[0]).flatMap(allInts)
    }
    return sequence(reference).flatMap(allInts)
  }

  private func allInts(_ items: [Reference]) -> [Int]? {
    let values = items.compactMap(int)
    return values.count == items.count ? values : nil
  }

  /// The entries of a dict or of a subclass that is filled like one.
  package func entries(_ reference: Reference) -> [Entry]? {
    switch nodes[reference] {
    case .dict(let entries): return entries
    case .call(let index):
      let call = calls[index]
      guard let name = className(call.callable) else { return nil }
      return Self.isDict(name) || !call.entries.isEmpty ? call.entries : nil
    default: return nil
    }
  }

  private static func isDict(_ name: ClassName) -> Bool {
    name.module == "collections" && ["OrderedDict", "defaultdict", "Counter"].contains(name.name)
  }

  /// The elements of a set that is made of a list of them, as protocols before 4 do it; nil for any other call.
  func items(ofSet call: Call) -> [Reference]? {
    guard case .reduce = call.kind, call.states.isEmpty, call.entries.isEmpty, let arguments = tuple(call.arguments),
      arguments.count < 2
    else { return nil }
    return arguments.isEmpty ? call.items : sequence(arguments[0]).map { $0 + call.items }
  }

  /// The entries with text keys; the last of equal keys counts, at the place of the first, as in Python.
  package func dictionary(_ reference: Reference) -> OrderedDictionary<String, Reference>? {
    guard let entries = entries(reference) else { return nil }
    var dictionary = OrderedDictionary<String, Reference>(minimumCapacity: entries.count)
    for entry in entries {
      if let key = text(entry.key) { dictionary[key] = entry.value }
    }
    return dictionary
  }

  /// `dict[key]`: quicker than `dictionary` for a few keys.
  func value(forKey key: String, of reference: Reference) -> Reference? {
    entries(reference)?.last { text($0.key) == key }?.value
  }

  /// The class of an object made by `__new__`, or by `copyreg._reconstructor` as protocols 0 and 1 do.
  package func objectClass(_ reference: Reference) -> ClassName? {
    guard let call = call(reference) else { return nil }
    switch call.kind {
    case .newObject, .newObjectWithKeywords: return className(call.callable)
    case .reduce:
      if graphModule(call) != nil { return Self.graphModule }
      guard let function = className(call.callable),
        ["copyreg", "copy_reg"].contains(function.module),
        ["_reconstructor", "__newobj__"].contains(function.name),
        let first = tuple(call.arguments)?.first
      else { return nil }
      return className(first)
    }
  }

  /// An object's `__dict__`: the state it was given, or the first part of a pair with slots; or what a GraphModule is
  /// made from.
  package func stateDictionary(_ reference: Reference) -> Reference? {
    guard let call = call(reference) else { return nil }
    guard let state = call.states.last else { return graphModule(call)?.state }
    if entries(state) != nil { return state }
    if let pair = tuple(state), pair.count == 2, entries(pair[0]) != nil { return pair[0] }
    return nil
  }
}

extension PickleGraph {
  /// What holds others by name or place: a dict, list or tuple itself, the attributes of an object.
  func holder(of reference: Reference) -> Reference? {
    sequence(reference) != nil || entries(reference) != nil ? reference : stateDictionary(reference)
  }

  /// What stands in a dict under text, in a list or tuple by its place.
  func children(in holder: Reference) -> [(name: String, value: Reference)] {
    if let items = sequence(holder) { return items.enumerated().map { (String($0.offset), $0.element) } }
    return (entries(holder) ?? []).compactMap { entry in text(entry.key).map { ($0, entry.value) } }
  }
}

// MARK: Changing objects

extension PickleGraph {
  /// Puts another object at a place in a dict, a list or a tuple.
  mutating func put(_ value: Reference, at holder: ModelSelection.Holder) {
    guard var items = sequence(holder.dictionary) else { return change([holder.key: value], of: holder.dictionary) }
    guard let index = Int(holder.key), items.indices.contains(index) else { return }
    items[index] = value
    if case .list = nodes[holder.dictionary] {
      nodes[holder.dictionary] = .list(items)
    } else {
      nodes[holder.dictionary] = .tuple(items)
    }
  }

  mutating func setEntries(_ entries: [Entry], of reference: Reference) {
    switch nodes[reference] {
    case .dict: nodes[reference] = .dict(entries)
    case .call(let index): calls[index].entries = entries
    default: break
    }
  }

  /// Assigns `dict[key] = value` for each of the changes, a new key at the end; nil removes the key.
  mutating func change(_ changes: OrderedDictionary<String, Reference?>, of reference: Reference) {
    guard !changes.isEmpty, let old = entries(reference) else { return }
    var known: Set<String> = []
    var entries = old.compactMap { entry -> Entry? in
      guard let key = text(entry.key), let change = changes[key] else { return entry }
      known.insert(key)
      return change.map { Entry(key: entry.key, value: $0) }
    }
    for (key, change) in changes where !known.contains(key) {
      if let change { entries.append(Entry(key: add(.string(key)), value: change)) }
    }
    setEntries(entries, of: reference)
  }

  /// A call of a named function or class.
  mutating func addCall(_ module: String, _ name: String, _ arguments: [Reference]) -> Reference {
    let callable = add(.global(ClassName(module, name)))
    return addCall(Call(kind: .reduce, callable: callable, arguments: add(.tuple(arguments))))
  }

  mutating func addOrderedDict() -> Reference { addCall("collections", "OrderedDict", []) }

  /// Python 2 and the first protocols give an OrderedDict its pairs as an argument; the graph holds them as entries
  /// always.
  /// - Throws: `ModelError` when pairs that many share would become more entries than objects are allowed.
  mutating func normalizeOrderedDicts() throws {
    var total = 0
    for index in calls.indices {
      guard className(calls[index].callable) == ClassName("collections", "OrderedDict"),
        let arguments = tuple(calls[index].arguments), arguments.count == 1,
        let pairs = sequence(arguments[0])
      else { continue }
      total += pairs.count
      guard total <= Self.nodeLimit else {
        throw ModelError(.limit, "the pickle describes more than \(Self.nodeLimit) objects")
      }
      let entries = pairs.compactMap { pair -> Entry? in
        guard let items = sequence(pair), items.count == 2 else { return nil }
        return Entry(key: items[0], value: items[1])
      }
      guard entries.count == pairs.count else { continue }
      calls[index].arguments = add(.tuple([]))
      calls[index].entries = entries + calls[index].entries
    }
  }

  /// A module that torch.compile wrapped is pickled as a call of `OptimizedModule` with the module and the compiler's
  /// own objects: the graph holds the module itself, as `_orig_mod` is.
  mutating func unwrapCompiledModules() {
    for reference in nodes.indices {
      guard let call = call(reference), case .reduce = call.kind,
        className(call.callable) == ClassName("torch._dynamo.eval_frame", "OptimizedModule"),
        let module = tuple(call.arguments)?.first, objectClass(module) != nil
      else { continue }
      nodes[reference] = nodes[module]
      compiledModules += 1
    }
  }
}
