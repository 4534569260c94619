import ModelCore
import Testing

@Suite struct CopyAttributesTests {
  let source = Module(
    ClassName("a", "A"), isTraining: true,
    attributes: ["nc": .int(3), "_private": .int(1), "names": .list([.string("x")]), "odd": .opaque("object")])

  @Test func everything() {
    var target = Module(ClassName("a", "A"), attributes: ["odd": .int(5)])
    #expect(copyAttributes(from: source, to: &target) == ["training", "nc", "names"])
    #expect(target.isTraining && target.attributes["nc"] == .int(3) && target.attributes["_private"] == nil)
    #expect(target.attributes["odd"] == .int(5))
  }

  @Test func includeAndExclude() {
    var target = Module(ClassName("a", "A"))
    #expect(copyAttributes(from: source, to: &target, include: ["nc", "names"], exclude: ["nc"]) == ["names"])
    #expect(!target.isTraining)
  }
}
