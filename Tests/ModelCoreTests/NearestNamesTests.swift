import ModelCore
import Testing

@Suite struct NearestNamesTests {
  @Test func theFewestEditsComeFirst() {
    let names = ["Relu", "Conv", "ConvTranspose", "Gemm", "Conv"]
    #expect(names.nearest(to: "Conv2d") == "Conv, Relu, Gemm")
    #expect(names.nearest(to: "gemm").hasPrefix("Gemm, "))
    #expect([String]().nearest(to: "x") == "" && ["", "a"].nearest(to: "b") == "a")
  }
}
