/// The Python that torch.fx writes for a traced network, as data: a `forward` of single assignments without branches or
/// loops, and the imports before it. Anything else is refused, not run.
package struct TracedCode: Sendable {
  /// What stands to the right of an assignment.
  package indirect enum Expression: Sendable, Equatable {
    case none, ellipsis
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case name(String)
    case attribute(Expression, String)
    case item(Expression, Expression)
    case tuple([Expression])
    case list([Expression])
    /// Keys, and as many values.
    case dict([Expression], [Expression])
    /// `slice(from, to, step)`, however it is written.
    case slice(Expression, Expression, Expression)
    case call(Expression, [Argument])
    case unary(String, Expression)
    case binary(String, Expression, Expression)
  }

  /// What a call is given.
  package struct Argument: Sendable, Equatable {
    /// The parameter's name; nil for those by position.
    package let name: String?
    package let value: Expression

    package init(name: String?, value: Expression) { (self.name, self.value) = (name, value) }
  }

  package enum Statement: Sendable, Equatable {
    /// The value under every one of the names; one without names is thrown away.
    case assign([String], Expression)
    case giveBack(Expression)
  }

  /// What `forward` takes behind `self`, with the default where it has one.
  package internal(set) var parameters: [(name: String, standard: Expression?)] = []
  package internal(set) var statements: [Statement] = []
  /// The types that parameters and results are said to have.
  package internal(set) var annotations: [Expression] = []
  /// What each imported name stands for; a module's own name is empty.
  package internal(set) var imports: [String: ClassName] = [:]

  /// - Parameters:
  ///   - source: the method's text, a GraphModule's `_code`.
  ///   - imports: the lines that torch.fx puts before it.
  /// - Throws: `ModelError` for what torch.fx does not write, with the line.
  package init(source: String, imports: String) throws {
    var reader = try TracedCodeReader(imports)
    try reader.readImports(into: &self)
    reader = try TracedCodeReader(source)
    try reader.readForward(into: &self)
  }

  /// The class or function that a dotted name stands for; nil for names of the method's own.
  package func global(_ expression: Expression) -> ClassName? {
    switch expression {
    case .name(let name): return imports[name]
    case .attribute(let base, let name):
      guard let owner = global(base) else { return nil }
      let module = owner.name.isEmpty ? owner.module : owner.description
      return ClassName(module, name)
    default: return nil
    }
  }

  /// The path of a submodule or attribute, such as `getattr(self.layer1, "0").conv1`; nil for anything else.
  package static func path(_ expression: Expression) -> String? {
    switch expression {
    case .name("self"): return ""
    case .attribute(let base, let name): return path(base).map { dotted($0, name) }
    case .call(.name("getattr"), let arguments):
      guard arguments.count == 2, arguments.allSatisfy({ $0.name == nil }), case .string(let name) = arguments[1].value
      else { return nil }
      return path(arguments[0].value).map { dotted($0, name) }
    default: return nil
    }
  }
}
