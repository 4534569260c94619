import ModelCore

/// The networks that torch.fx has traced: Python makes them anew from the text of their `forward`.
extension PickleGraph {
  private static let maker = ClassName("torch.fx.graph_module", "reduce_graph_module")

  /// The class of what `reduce_graph_module` gives.
  static let graphModule = ClassName("torch.fx.graph_module", "GraphModule")

  /// A GraphModule's `__dict__` and the imports of its code; nil for any other call.
  func graphModule(_ call: Call) -> (state: Reference, imports: String)? {
    guard case .reduce = call.kind, case .global(Self.maker) = nodes[call.callable],
      let arguments = tuple(call.arguments), arguments.count == 2, entries(arguments[0]) != nil,
      let imports = text(arguments[1])
    else { return nil }
    return (arguments[0], imports)
  }

  /// A GraphModule's code, which older releases keep under another name.
  /// - Throws: `ModelError` for code that torch.fx does not write.
  func tracedCode(_ state: Reference, imports: String) throws -> TracedCode {
    guard let source = ["_code", "code"].lazy.compactMap({ value(forKey: $0, of: state).flatMap { text($0) } }).first
    else { throw ModelError(.malformed, "has no code") }
    return try TracedCode(source: source, imports: imports)
  }

  /// What making a GraphModule would do beyond noting a network's operations, in words; nil where it does nothing more.
  ///
  /// Python runs the code on symbolic tensors: calls of submodules and of functions of tensors are noted, not done.
  func danger(inGraphModule state: Reference, imports: String) -> String? {
    if let tracer = value(forKey: "_tracer_cls", of: state), !isNone(tracer) {
      guard let name = className(tracer), PickleVerdict(naming: name) == .safe || PickleVerdict.isOfTheModel(name)
      else { return "a tracer that is not known" }
    }
    if let extras = value(forKey: "_tracer_extras", of: state), entries(extras)?.isEmpty != true {
      return "a tracer with arguments"
    }
    do {
      return try tracedCode(state, imports: imports).danger { isSubmodule($0, of: state) }
    } catch { return "code that torch.fx does not write" }
  }

  /// Whether a path from a module's `__dict__` leads through its submodules alone, hidden by nothing of the same name.
  private func isSubmodule(_ path: String, of state: Reference) -> Bool {
    var state = state
    for part in path.split(separator: ".", omittingEmptySubsequences: false).map(String.init) {
      guard !TracedCode.isMethodOfModules(part), value(forKey: part, of: state) == nil,
        let children = value(forKey: "_modules", of: state),
        let child = value(forKey: part, of: children), ModuleReader.isModule(child, in: self),
        let next = stateDictionary(child)
      else { return false }
      state = next
    }
    return true
  }

  /// All objects that hold, or are made from, something that leads to one of them.
  func leading(to target: Reference) -> Set<Reference> {
    var holders = [[Reference]](repeating: [], count: nodes.count)
    for reference in nodes.indices { forEachPart(of: reference) { holders[$0].append(reference) } }
    var found: Set<Reference> = [target]
    var pending = [target]
    while let reference = pending.popLast() {
      for holder in holders[reference] where found.insert(holder).inserted { pending.append(holder) }
    }
    return found
  }
}
