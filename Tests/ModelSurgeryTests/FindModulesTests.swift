import ModelCore
import ModelSurgery
import Testing

/// Modules by type and by name; the interop suite asks isinstance for every class of real models.
@Suite struct FindModulesTests {
  private func tree() -> Module {
    let conv = Module(ClassName("torch.nn.modules.conv", "Conv2d"))
    let block = Module(ClassName("yolov5.models.common", "DWConv"), children: ["conv": conv])
    return Module(
      ClassName("my.nets", "Conv"),
      children: [
        "a": block, "b": block, "t": Module(ClassName("models.common", "DWConvTranspose2d")),
        "r": Module(ClassName("torch.nn.modules.activation", "ReLU6")),
      ])
  }

  private func names(_ type: String?, _ name: String? = nil) -> [String] {
    tree().findModules(type: type.map { Glob($0) }, name: name.map { Glob($0) }).map { "\($0.index) \($0.name)" }
  }

  @Test func byType() {
    #expect(names("Conv2d") == ["2 a.conv"])
    #expect(names("_ConvNd") == ["2 a.conv", "3 t"])
    #expect(names("ConvTranspose2d") == ["3 t"])
    #expect(names("Conv") == ["0 ", "1 a"])
    #expect(names("Hardtanh") == ["4 r"])
    #expect(names("torch.nn.modules.conv.Conv2d") == ["2 a.conv"])
    #expect(names("Nothing").isEmpty)
  }

  @Test func byPattern() {
    #expect(names("*Conv") == ["0 ", "1 a"])
    #expect(names(nil, "a*") == ["1 a", "2 a.conv"])
    #expect(names("*Conv*", "?") == ["1 a", "3 t"])
    #expect(names(nil) == ["0 ", "1 a", "2 a.conv", "3 t", "4 r"])
  }
}
