import ModelCore
import Testing

/// The code that torch.fx writes, and what is none of it.
@Suite struct TracedCodeTests {
  private typealias Expression = TracedCode.Expression

  private func code(_ body: String, imports: String = "import torch\n") throws -> TracedCode {
    try TracedCode(
      source: "\n\n\ndef forward(self, x : torch.Tensor, y = None) -> torch.Tensor:\n\(body)\n", imports: imports)
  }

  private func value(_ text: String) throws -> Expression {
    let code = try code("    a = \(text)\n    return a\n    ")
    guard case .assign(["a"], let value) = code.statements[0] else { throw ModelError(.invalid, "no assignment") }
    return value
  }

  @Test func aWholeMethod() throws {
    let code = try code(
      """
          # a comment
          conv1 = self.conv1(x);  x = None
          layer = getattr(self.layer1, "0").conv(conv1);  conv1 = None
          size : int = layer.size(0);  a = b = None
          return [layer, size]
          
      """,
      imports: """
        import torch
        import torch.fx._pytree as fx_pytree
        from math import inf
        from a.b import stochastic_depth as a_b_stochastic_depth
        NoneType = type(None)
        """)
    #expect(code.parameters.map(\.name) == ["x", "y"] && code.parameters[1].standard == Expression.none)
    #expect(
      code.imports == [
        "torch": ClassName("torch", ""), "fx_pytree": ClassName("torch.fx._pytree", ""),
        "inf": ClassName("math", "inf"), "a_b_stochastic_depth": ClassName("a.b", "stochastic_depth"),
        "NoneType": ClassName("types", "NoneType"),
      ])
    #expect(code.statements.count == 7 && code.annotations.count == 3)
    #expect(code.statements[5] == .assign(["a", "b"], .none))
    guard case .assign(["layer"], .call(let callee, _)) = code.statements[2] else {
      Issue.record("no call")
      return
    }
    #expect(TracedCode.path(callee) == "layer1.0.conv")
    #expect(code.statements.last == .giveBack(.list([.name("layer"), .name("size")])))
  }

  @Test func expressions() throws {
    #expect(
      try value("1 + 2 * -3 ** 2")
        == .binary("+", .int(1), .binary("*", .int(2), .unary("-", .binary("**", .int(3), .int(2))))))
    #expect(try value("a - b - c") == .binary("-", .binary("-", .name("a"), .name("b")), .name("c")))
    #expect(try value("(1,)") == .tuple([.int(1)]) && value("(1)") == .int(1) && value("()") == .tuple([]))
    #expect(try value("{'a': 1, 'b': x}") == .dict([.string("a"), .string("b")], [.int(1), .name("x")]))
    #expect(try value("1, 2") == .tuple([.int(1), .int(2)]))
    #expect(
      try value("[1e-05, 2.5, inf, 'a', True, None]")
        == .list([.double(1e-05), .double(2.5), .double(.infinity), .string("a"), .bool(true), .none]))
    #expect(
      try value("x[(slice(None, 2, None), 0)]")
        == .item(.name("x"), .tuple([.slice(.none, .int(2), .none), .int(0)])))
    #expect(
      try value("x[1:, ::2, None]")
        == .item(.name("x"), .tuple([.slice(.int(1), .none, .none), .slice(.none, .none, .int(2)), .none])))
    #expect(
      try value("f(1, b = 2)")
        == .call(.name("f"), [.init(name: nil, value: .int(1)), .init(name: "b", value: .int(2))]))
    let code = try code("    return torch.nn.functional.relu(x)\n")
    guard case .giveBack(.call(let callee, _)) = code.statements[0] else {
      Issue.record("no call")
      return
    }
    #expect(code.global(callee) == ClassName("torch.nn.functional", "relu"))
  }

  @Test(arguments: [
    "    a = lambda: 1\n    return a", "    a = [b for b in c]\n    return a", "    import os\n    return x",
    "    if x: y = 1\n    return x", "    return x\n    return x", "    a = (b := 1)\n    return a",
    "    a = f'{x}'\n    return a", "    a = 'x\\n'\n    return a", "    a = {1}\n    return a",
    "    a = {1: 2, **b}\n    return a", "    self = x\n    return x",
    "    a = 1 +\n    return a", "    a = f(b=1, 2)\n    return a", "    a = x[]\n    return a",
    "    a = x[1:2:3:4]\n    return a",
    "    del x\n    return x", "    a = b if c else d\n    return a", "    a = not x\n    return a",
    "    a = 'x\n    return a",
    "    a = 0x\n    return a", "    a = x $ y\n    return a", "    a.b = x\n    return a",
    "    a[0] = x\n    return a", "    a = x",
    "    a = 99999999999999999999999x\n    return a", "    getattr = x\n    return x", "",
  ])
  func refused(_ body: String) {
    #expect(throws: ModelError.self) { try code(body) }
  }

  @Test(arguments: [
    "import os; os.system('x')", "x = 1", "from a import b, c", "from a import *", "NoneType = type(x)",
    "NoneType = eval(None)", "import a as b as c", "from . import a",
  ])
  func refusedImports(_ imports: String) {
    #expect(throws: ModelError.self) { try code("    return x", imports: imports) }
  }

  /// No depth of nesting and no length of text breaks the reader.
  @Test func limits() throws {
    for (open, close) in [
      ("(", ")"), ("[", "]"), ("f(", ")"), ("-", ""), ("2 ** ", ""), ("x + ", ""), ("", ".a"), ("", "[0]"), ("", "()"),
    ] {
      let deep = String(repeating: open, count: 100_000) + "1" + String(repeating: close, count: 100_000)
      #expect(throws: ModelError.self) { try value(deep) }
    }
    #expect(try value(String(repeating: "(", count: 20) + "1" + String(repeating: ")", count: 20)) == .int(1))
    _ = try code(String(repeating: "    a = x.relu()\n", count: 100_000) + "    return a")
    #expect(throws: ModelError.self) { try code(String(repeating: "    a = x\n", count: 1 << 20) + "    return a") }
  }
}
