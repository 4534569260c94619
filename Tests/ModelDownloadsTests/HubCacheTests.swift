import ModelDownloads
import Testing

@Suite struct HubCacheTests {
  @Test func choices() {
    let choice = { HubCache.choice(for: $0, among: $1) }
    // What pretrained=True gives goes before newer weights, those before what torchvision no longer names.
    let resnets = ["resnet50-00000000.pth", "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth", "resnet50-19c8e357.pth"]
    #expect(choice("resnet50", resnets) == "resnet50-0676ba61.pth")
    #expect(choice("resnet50", Array(resnets[2...])) == "resnet50-11ad3fa6.pth")
    #expect(choice("resnet50", [resnets[0], resnets[3]]) == "resnet50-00000000.pth")
    #expect(choice("resnet18", resnets) == nil)
    // Spellings of their own.
    #expect(choice("alexnet", ["alexnet-owt-4df8aa71.pth"]) == "alexnet-owt-4df8aa71.pth")
    #expect(choice("efficientnet_b0", ["efficientnet_b0_rwightman-3dd342df.pth"]) != nil)
    #expect(choice("mnasnet0_5", ["mnasnet0.5_top1_67.823-3ffadce67e.pth"]) != nil)
    #expect(choice("shufflenet_v2_x1_0", ["shufflenetv2_x1-5666bf0f80.pth"]) != nil)
    // Other networks, other files, no hashes.
    #expect(choice("vgg16", ["vgg16_bn-6c64b313.pth", "vgg16_features-amdegroot-88682ab5.pth"]) == nil)
    #expect(
      choice(
        "resnet50", ["resnet50.pth", "resnet50-0676ba61.pth.part", "resnet50-0676ba6.pth", "resnet50-0676ba61.pt"])
        == nil)
    #expect(
      choice("resnet50", ["resnet50-0676BA61.pth", "xresnet50-0676ba61.pth", "wide_resnet50_2-95faca4d.pth"]) == nil)
    #expect(choice("unknown", ["unknown-00000000.pth"]) == nil)
  }
}
