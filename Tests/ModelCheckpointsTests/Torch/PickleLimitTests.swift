import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Small files that describe much: deep nesting, shared objects, endless growth.
@Suite struct PickleLimitTests {
  private static let depth = 200_000

  /// How many times the first part of an object is an object of the same kind.
  private func depth(_ graph: PickleGraph, _ next: (PickleGraph.Node) -> Int?) -> Int {
    var (reference, depth) = (graph.root, 0)
    while let inner = next(graph.nodes[reference]) {
      reference = inner
      depth += 1
    }
    return depth
  }

  private func expectDepth(_ bytes: [UInt8], _ next: (PickleGraph.Node) -> Int?) throws {
    let graph = try read(bytes)
    #expect(depth(graph, next) == Self.depth)
    let again = try read(PickleWriter.write(graph) { _ in 0 })
    #expect(depth(again, next) == Self.depth)
  }

  @Test func deeplyNestedTuples() throws {
    try expectDepth(pickle(")" + String(repeating: "\u{85}", count: Self.depth) + ".")) {
      if case .tuple(let items) = $0 { items.first } else { nil }
    }
  }

  @Test func deeplyNestedLists() throws {
    try expectDepth(
      pickle("]" + String(repeating: "]", count: Self.depth) + String(repeating: "a", count: Self.depth) + ".")
    ) {
      if case .list(let items) = $0 { items.first } else { nil }
    }
  }

  @Test func deeplyNestedDicts() throws {
    try expectDepth(
      pickle("}" + String(repeating: "N}", count: Self.depth) + String(repeating: "s", count: Self.depth) + ".")
    ) {
      if case .dict(let entries) = $0 { entries.first?.value } else { nil }
    }
  }

  @Test func deeplyNestedCalls() throws {
    let graph = try read(pickle(")" + String(repeating: "q\0cm\nf\nh\0R\u{85}", count: Self.depth) + "."))
    let again = try read(PickleWriter.write(graph) { _ in 0 })
    #expect(again.calls.count == graph.calls.count)
  }

  @Test func manyOpenMarks() throws {
    #expect(
      try read(pickle(String(repeating: "(", count: Self.depth) + String(repeating: "t", count: Self.depth) + "."))
        .calls.isEmpty)
    let open = refusal { _ = try read(pickle(String(repeating: "(", count: Self.depth))) }
    #expect(open?.contains("it has no STOP") == true)
  }

  /// Each list holds the one before twice: 2^64 places, 65 objects.
  @Test func doublingListsStaySmall() throws {
    let graph = try read(pickle("]" + String(repeating: "q\0]q\u{1}h\0ah\0a", count: 64) + "."))
    #expect(graph.nodes.count < 200)
    #expect(PickleWriter.write(graph) { _ in 0 }.count < 2000)
  }

  @Test func objectsAreLimited() throws {
    // A little more than the limit of 2^23 objects.
    let bytes = [UInt8](repeating: UInt8(ascii: "N"), count: 1 << 23 + 1)
    let message = refusal { _ = try read(bytes) }
    #expect(message?.contains("the pickle describes more than 8388608 objects") == true)
  }

  @Test func aFullStackOfOneObjectIsLimited() throws {
    let bytes = pickle("N") + [UInt8](repeating: UInt8(ascii: "2"), count: 1 << 23 + 1)
    let message = refusal { _ = try read(bytes) }
    #expect(message?.contains("more than 8388608 objects") == true)
  }

  /// Each OrderedDict repeats the same list of pairs: ten thousand times two thousand entries.
  @Test func sharedPairsOfOrderedDictsAreLimited() throws {
    let pairs = "](" + String(repeating: "NN\u{86}", count: 2000) + "eq\00"
    let calls = "](" + String(repeating: "ccollections\nOrderedDict\nh\0\u{85}R", count: 10_000) + "e."
    let message = refusal { _ = try read(pickle(pairs + calls)) }
    #expect(message?.contains("more than 8388608 objects") == true, "\(message ?? "accepted")")
  }

  @Test func cyclesAreWrittenOnce() throws {
    for (source, text) in [
      ("]q\0h\0a.", "#1=[#1]"), ("}q\0Nh\0s.", "#1={None: #1}"), ("]q\0h\0\u{85}a.", "#1=[(#1)]"),
      ("(]q\0t2h\00\u{85}.", "(([]))"), ("]q\0h\0\u{85}q\u{1}a0h\u{1}.", "#1=([#1])"),
      ("cm\nf\n)Rq\0h\0b.", "#1=m.f() <- #1"), ("]q\0cm\nf\nh\0\u{85}Rq\u{1}a0h\u{1}.", "#1=m.f([#1])"),
      ("]q\0h\0h\0h\0h\0tq\u{1}.", "(#1=[], #1, #1, #1)"),
      ("]q\0(h\0\u{91}q\u{1}a0h\u{1}.", "#1=frozenset([#1])"),
    ] where !source.contains("tq") {
      let graph = try read(pickle(source))
      #expect(graph.text == text, "\(source)")
      #expect(try read(PickleWriter.write(graph) { _ in 0 }).text == text, "\(source)")
    }
  }
}
