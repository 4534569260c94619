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

  @Test func derivedClassesOfTimm() {
    let net = Module(
      ClassName("my.nets", "Net"),
      children: [
        "norm": Module(ClassName("timm.layers.norm_act", "BatchNormAct2d")),
        "conv": Module(ClassName("timm.layers.std_conv", "ScaledStdConv2d")),
        "stem": Module(ClassName("timm.models.byobnet", "Stem")),
      ])
    func names(_ type: String) -> [String] { net.findModules(type: Glob(type)).map(\.name) }
    #expect(names("BatchNorm2d") == ["norm"] && names("_NormBase") == ["norm"])
    #expect(names("Conv2d") == ["conv"] && names("Sequential") == ["stem"])
  }

  @Test func aConvolutionOfAnyClass() {
    let layer = Layer.convolution(Convolution(inChannels: 1, outChannels: 1, kernelSize: [1, 1]))
    let net = Module(
      ClassName("my.nets", "Net"),
      children: [
        "a": Module(ClassName("my.nets", "MyConv"), layer: layer), "b": Module(ClassName("my.nets", "MyConv")),
      ])
    #expect(net.findModules(type: Glob("Conv2d")).map(\.name) == ["a"])
    #expect(net.findModules(type: Glob("MyConv")).map(\.name) == ["a", "b"])
  }

  @Test func byPattern() {
    #expect(names("*Conv") == ["0 ", "1 a"])
    #expect(names(nil, "a*") == ["1 a", "2 a.conv"])
    #expect(names("*Conv*", "?") == ["1 a", "3 t"])
    #expect(names(nil) == ["0 ", "1 a", "2 a.conv", "3 t", "4 r"])
  }
}
