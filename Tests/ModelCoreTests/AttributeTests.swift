import ModelCore
import Testing

@Suite struct AttributeTests {
  @Test func values() {
    #expect(Attribute.int(3).intValue == 3)
    #expect(Attribute.double(3).intValue == nil)
    #expect(Attribute.int(3).doubleValue == 3)
    #expect(Attribute.double(0.5).doubleValue == 0.5)
    #expect(Attribute.bool(true).boolValue == true)
    #expect(Attribute.bool(true).intValue == nil)
    #expect(Attribute.string("same").stringValue == "same")
    #expect(Attribute.tuple([.int(1), .int(2)]).intsValue == [1, 2])
    #expect(Attribute.list([]).intsValue == [])
    #expect(Attribute.list([.int(1), .string("a")]).intsValue == nil)
    #expect(Attribute.string("same").intsValue == nil)
  }

  @Test func whatPythonCallsFalseIsEmpty() {
    let empty: [Attribute] = [.none, .bool(false), .int(0), .double(0), .string(""), .list([]), .tuple([]), .dict([])]
    #expect(empty.allSatisfy { $0.isEmpty })
    let full: [Attribute] = [
      .bool(true), .int(-1), .double(.nan), .string(" "), .list([.none]), .tuple([.none]),
      .dict([.init(key: .none, value: .none)]), .boundMethod("forward_fuse"), .opaque(""),
    ]
    #expect(full.allSatisfy { !$0.isEmpty })
  }
}
