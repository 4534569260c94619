import ModelCore
import Testing

@Suite struct LayerTests {
  @Test func weightShapes() {
    let plain = Convolution(inChannels: 6, outChannels: 4, kernelSize: [3, 5], groups: 2)
    #expect(plain.rank == 2)
    #expect(plain.weightShape == [4, 3, 3, 5])
    let transposed = Convolution(isTransposed: true, inChannels: 6, outChannels: 4, kernelSize: [7], groups: 2)
    #expect(transposed.weightShape == [6, 2, 7])
    for groups in [0, -1, 4, 5] {
      let odd = Convolution(inChannels: 6, outChannels: 4, kernelSize: [1], groups: groups)
      #expect(odd.weightShape == nil, "\(groups)")
    }
  }

  @Test func defaultsArePyTorchs() {
    let convolution = Convolution(inChannels: 1, outChannels: 1, kernelSize: [3, 3])
    #expect(convolution.stride == [1, 1])
    #expect(convolution.padding == [0, 0])
    #expect(convolution.dilation == [1, 1])
    #expect(convolution.groups == 1)
    #expect(convolution.paddingMode == "zeros")
    let norm = BatchNorm(rank: 2, features: 3)
    #expect(norm.eps == 1e-5)
    #expect(norm.momentum == 0.1)
    #expect(norm.isAffine && norm.tracksRunningStatistics)
  }
}
