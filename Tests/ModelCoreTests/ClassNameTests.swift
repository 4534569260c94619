import ModelCore
import Testing

@Suite struct ClassNameTests {
  @Test func suffixesEndAtADot() {
    let name = ClassName("yolov5.models.common", "Conv")
    #expect(name.description == "yolov5.models.common.Conv")
    #expect(name.hasSuffix("yolov5.models.common.Conv"))
    #expect(name.hasSuffix("models.common.Conv"))
    #expect(name.hasSuffix("Conv"))
    #expect(!name.hasSuffix("odels.common.Conv"))
    #expect(!name.hasSuffix("models.common.DWConv"))
    #expect(!ClassName("models.common", "DWConv").hasSuffix("Conv"))
    #expect(ClassName("", "Conv").description == "Conv")
  }

  @Test func onlyPyTorchsOwnModulesAreItsModules() {
    #expect(ClassName("torch.nn.modules.conv", "Conv2d").isTorchModule)
    #expect(!ClassName("torch.nn.qat.modules.conv", "Conv2d").isTorchModule)
    #expect(!ClassName("my.torch.nn.modules.conv", "Conv2d").isTorchModule)
    #expect(!ClassName("torch.nn", "Conv2d").isTorchModule)
  }
}
