import ModelCore

/// One thing that Python would do with what a pickle describes.
struct PickleEffect: Sendable, Hashable {
  enum Action: Sendable, Hashable {
    case calls, names
    /// Looks methods or nested classes up on what the file itself brings along.
    case looksUp
  }

  let verdict: PickleVerdict
  let action: Action
  /// What is called, named or looked up, in words.
  let what: String
}

/// What a pickle would make Python import and call, judged without doing so: an audit tells all of it, and a file is
/// written again only where nothing of it is dangerous.
extension PickleGraph {
  /// The effects of everything that the pickle describes, reachable from its root or not.
  func effects() -> [PickleEffect] { effects(of: [Bool](repeating: true, count: nodes.count)) }

  /// The first effect, of what the root reaches, that is not known to make data and nothing else; in words.
  func dangerousEffect() -> String? { effects(of: reached()).first { $0.verdict == .dangerous }?.what }

  private func effects(of isMeant: [Bool]) -> [PickleEffect] {
    var effects: OrderedSet<PickleEffect> = []
    var called: Set<Reference> = []
    var handedOver = [Bool](repeating: false, count: nodes.count)
    if !nodes.isEmpty { handedOver[root] = true }
    let tracedNodes = statesOfTracedNodes()
    var noted: Set<Reference> = []
    var verdicts: [Use: PickleVerdict] = [:]
    for (reference, node) in nodes.enumerated() where isMeant[reference] {
      if case .call(let index) = node {
        called.insert(calls[index].callable)
        if let effect = effect(of: calls[index], &verdicts) { effects.append(effect) }
      }
      forEachPart(of: reference) { part in
        if isAttributeLookup(part), tracedNodes.contains(reference) || isKeyOfTracedNodes(reference) {
          noted.insert(part)
        } else {
          handedOver[part] = true
        }
      }
    }
    for (reference, node) in nodes.enumerated() where isMeant[reference] {
      guard case .global(let name) = node,
        handedOver[reference] || !called.contains(reference) && !noted.contains(reference)
      else { continue }
      let verdict = PickleVerdict(naming: name)
      if verdict != .safe {
        effects.append(PickleEffect(verdict: verdict, action: .names, what: name.description))
      }
    }
    return Array(effects)
  }

  /// The states of the nodes of graphs that torch.fx has traced: they note `getattr` as what takes a tensor's shape.
  private func statesOfTracedNodes() -> Set<Reference> {
    let node = ClassName("torch.fx.node", "Node")
    return Set(calls.lazy.filter { self.className($0.callable) == node }.flatMap(\.states))
  }

  /// Whether a tuple is what a traced graph finds its nodes of a function by.
  private func isKeyOfTracedNodes(_ reference: Reference) -> Bool {
    guard let parts = tuple(reference), parts.count == 2 else { return false }
    return text(parts[0]) == "call_function"
  }

  private func isAttributeLookup(_ reference: Reference) -> Bool {
    guard case .global(let name) = nodes[reference] else { return false }
    return name.name == "getattr" && ["builtins", "__builtin__"].contains(name.module)
  }

  private func reached() -> [Bool] {
    var isReached = [Bool](repeating: false, count: nodes.count)
    var pending = [root]
    while let reference = pending.popLast() {
      guard !isReached[reference] else { continue }
      isReached[reference] = true
      forEachPart(of: reference) { pending.append($0) }
      if let call = call(reference) { pending.append(call.callable) }
    }
    return isReached
  }

  /// What an object holds or is made from, but for the function that makes it.
  func forEachPart(of reference: Reference, _ body: (Reference) -> Void) {
    switch nodes[reference] {
    case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): items.forEach(body)
    case .dict(let entries):
      for entry in entries {
        body(entry.key)
        body(entry.value)
      }
    case .call(let index):
      let call = calls[index]
      if case .newObjectWithKeywords(let keywords) = call.kind { body(keywords) }
      body(call.arguments)
      call.items.forEach(body)
      call.states.forEach(body)
      for entry in call.entries {
        body(entry.key)
        body(entry.value)
      }
    default: break
    }
  }

  // MARK: Calls

  /// A callable and how it is called, for which there is one verdict.
  private struct Use: Hashable {
    let callable: Reference
    let isNew: Bool
    let hasArguments: Bool
  }

  /// - Parameter verdicts: those found so far.
  private func effect(of call: Call, _ verdicts: inout [Use: PickleVerdict]) -> PickleEffect? {
    func dangerous(_ what: String) -> PickleEffect { PickleEffect(verdict: .dangerous, action: .calls, what: what) }
    if let method = smuggledMethod(call) {
      return dangerous("the \(method) that an object of the file brings along")
    }
    guard let name = className(call.callable) else { return dangerous("what another call returned") }
    if name.name == "getattr", isLookup(call) {
      let method = tuple(call.arguments).flatMap { text($0[1]) } ?? ""
      return PickleEffect(verdict: .safe, action: .looksUp, what: method)
    }
    if let traced = graphModule(call) {
      return danger(inGraphModule: traced.state, imports: traced.imports).map { dangerous("\(name), which runs \($0)") }
    }
    if let culprit = functionGiven(to: name, call) { return dangerous(culprit) }
    if isHarmlessByItsArguments(name, call) { return nil }
    let isNew = if case .reduce = call.kind { false } else { true }
    let use = Use(callable: call.callable, isNew: isNew, hasArguments: tuple(call.arguments)?.isEmpty == false)
    let verdict = verdicts[use] ?? PickleVerdict(calling: name, isNew: isNew, hasArguments: use.hasArguments)
    verdicts[use] = verdict
    return verdict == .safe ? nil : PickleEffect(verdict: verdict, action: .calls, what: name.description)
  }

  /// What a known function would call among its arguments, where that is not known to make data; in words.
  private func functionGiven(to name: ClassName, _ call: Call) -> String? {
    let given = tuple(call.arguments) ?? []
    func isDangerous(_ reference: Reference, where isFine: (ClassName) -> Bool) -> String? {
      if let name = className(reference) { return isFine(name) ? nil : name.description }
      return self.call(reference) == nil ? nil : "what another call returned"
    }
    func isClass(_ name: ClassName) -> Bool {
      PickleVerdict(calling: name, isNew: true, hasArguments: true) != .dangerous
    }
    switch (name.module, name.name) {
    case ("copyreg", _), ("copy_reg", _):
      // The class, and with `_reconstructor` the one whose `__new__` makes the object.
      return given.prefix(name.name == "_reconstructor" ? 2 : 1).lazy.compactMap { isDangerous($0, where: isClass) }
        .first
    case ("torch._tensor", _):
      if let function = given.first {
        guard let made = className(function) else { return "what another call returned" }
        guard made.module == "torch._utils", PickleVerdict(calling: made, isNew: false, hasArguments: true) == .safe
        else { return made.description }
      }
      return given.dropFirst().first.flatMap { isDangerous($0, where: isClass) }
    case ("numpy.random._pickle", _), ("numpy.random", _), ("numpy.random.bit_generator", _):
      // A generator is made from another's state, by the functions of the same package.
      return given.lazy.compactMap { reference in
        let made = self.call(reference).flatMap { className($0.callable) }
        return made.map(Self.isRandom) == true ? nil : isDangerous(reference, where: Self.isRandom)
      }.first
    case ("functools", "partial"), ("collections", "defaultdict"):
      return given.first.flatMap { isDangerous($0) { PickleVerdict(naming: $0) != .dangerous } }
    default:
      // Nothing that is known here takes a method that was looked up.
      guard given.contains(where: { self.call($0).map(isLookup) == true }) else { return nil }
      return PickleVerdict(calling: name, isNew: false, hasArguments: true) == .safe
        ? "what another call returned" : nil
    }
  }

  /// Whether a call that could do harm does none with these arguments: how Python pickles the type of None, and types
  /// of the `typing` module.
  private func isHarmlessByItsArguments(_ name: ClassName, _ call: Call) -> Bool {
    guard case .reduce = call.kind, let given = tuple(call.arguments) else { return false }
    switch (name.module, name.name) {
    case ("builtins", "type"), ("__builtin__", "type"):
      return given.count == 1 && self.call(given[0]) == nil
    case ("_operator", "getitem"), ("operator", "getitem"), ("types", "GenericAlias"):
      return given.count == 2 && className(given[0]).map(Self.takesTypes) == true
    case ("functools", "reduce"), ("_functools", "reduce"), ("__builtin__", "reduce"):
      return given.count == 2
        && className(given[0]).map { ["_operator", "operator"].contains($0.module) && $0.name == "or_" } == true
        && tuple(given[1])?.allSatisfy { className($0) != nil } == true
    default: return false
    }
  }

  private static func isRandom(_ name: ClassName) -> Bool {
    (name.module + ".").hasPrefix("numpy.random.")
  }

  private static func takesTypes(_ name: ClassName) -> Bool {
    ["typing", "builtins", "__builtin__", "collections", "collections.abc"].contains(name.module)
      && PickleVerdict(naming: name) == .safe
  }

  /// A method that an object's own state puts in the place of its class's, and that Python calls while it fills the
  /// object; also what may be one, for nobody can tell what a call would name it.
  private func smuggledMethod(_ call: Call) -> String? {
    guard !call.states.isEmpty else { return nil }
    let called = ["__setstate__"] + (call.items.isEmpty ? [] : ["append", "extend", "add"])
    for state in call.states {
      for part in [state] + (tuple(state) ?? []) {
        if let made = self.call(part), tuple(made.arguments)?.isEmpty == false, let name = className(made.callable),
          ["builtins", "__builtin__", "collections"].contains(name.module)
        {
          return "state"
        }
        guard let entries = entries(part) else { continue }
        for entry in entries {
          if self.call(entry.key) != nil { return "method" }
          if let method = text(entry.key), called.contains(method) { return method }
        }
      }
    }
    return nil
  }

  /// Whether a call is `getattr(object, 'method')` of an object or class that is the model's own or PyTorch's layers':
  /// how Python pickles methods and nested classes, such as YOLO's `forward_fuse`, and functions such as `torch.tanh`.
  func isLookup(_ call: Call) -> Bool {
    guard case .global(let name) = nodes[call.callable], name.name == "getattr",
      ["builtins", "__builtin__"].contains(name.module),
      let arguments = tuple(call.arguments), arguments.count == 2, let method = text(arguments[1]),
      let owner = objectClass(arguments[0]) ?? className(arguments[0])
    else { return false }
    return (PickleVerdict.isOfTheModel(owner) || PickleVerdict.lendsMethods(owner))
      && !PickleVerdict.hasDangerousPart(method)
  }
}
