import ModelCore
import TestSupport
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
    let empty: [Attribute] =
      [.none, .bool(false), .int(0), .double(0), .string(""), .list([]), .tuple([]), .dict([])]
      + [.orderedDict([]), .set([]), .frozenSet([])]
    #expect(empty.allSatisfy { $0.isEmpty })
    let full: [Attribute] = [
      .bool(true), .int(-1), .double(.nan), .string(" "), .list([.none]), .tuple([.none]),
      .dict([.init(key: .none, value: .none)]), .orderedDict([.init(key: .none, value: .none)]), .set([.none]),
      .frozenSet([.none]), .boundMethod("forward_fuse"), .opaque(""),
    ]
    #expect(full.allSatisfy { !$0.isEmpty })
  }

  @Test func tensorsInThem() throws {
    let tensor = try Tensor([1, 2])
    let attribute = Attribute.dict([
      .init(key: .int(0), value: .list([.tensor(.init(tensor, requiresGrad: true)), .tuple([.tensor(.init(tensor))])]))
    ])
    #expect(attribute.mapTensors { $0 } == attribute)
    let other = try attribute.mapTensors { try $0.converted(to: .float64) }
    guard case .dict(let entries) = other, case .list(let items) = entries[0].value, case .tensor(let held) = items[0]
    else {
      Issue.record("is no dict with a list")
      return
    }
    #expect(other != attribute && held.tensor.dtype == .float64 && held.requiresGrad == true)
    #expect(Attribute.tensor(.init(tensor)) != .tensor(.init(tensor, requiresGrad: false)))
    #expect(Attribute.tensor(.init(tensor)).tensorValue?.identity == tensor.identity)
    #expect(!Attribute.tensor(.init(tensor)).isEmpty)
  }
}
