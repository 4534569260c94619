import ModelCore
import ModelRandom
import TestSupport
import Testing

@Suite struct InitSeedsTests {
  /// YOLOv5's init_seeds(seed), then torch.rand(1), np.random.rand(), random.random().
  @Test func generatorsOfASeed() throws {
    var seeds = try initSeeds()
    #expect(seeds.isCUDNNDeterministic && !seeds.isCUDNNBenchmarked)
    #expect(seeds.torch.uniformFloat32() == 0.49625659)
    #expect(seeds.numpy.uniform() == 0.5488135039273248)
    #expect(seeds.python.random() == 0.8444218515250481)
    seeds = try initSeeds(3)
    #expect(!seeds.isCUDNNDeterministic && seeds.isCUDNNBenchmarked)
    #expect(seeds.torch.uniformFloat32() == 0.004263520240783691)
  }

  @Test func aSeedThatNumPyRefuses() {
    #expect(
      refusal { _ = try initSeeds(1 << 32) } == "NumPy's generator takes a seed from 0 to 4294967295, not 4294967296")
  }
}
