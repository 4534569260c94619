import ModelCheckpoints
import ModelCore
import Testing

@Suite struct StrideTests {
  @Test func theAttributeOfAModel() throws {
    let checkpoint = try Checkpoint(contentsOf: TorchFixtures.path("yolov5_tiny.pt"))
    guard case .module(let module) = checkpoint.preferred else { throw ModelError(.invalid, "holds no module") }
    let stride = try #require(module.attributes["stride"]?.tensorValue)
    #expect(try stride.doubles() == [1])
    #expect(try checkpoint.stride() == 32)
    #expect(module.attributes["names"]?.tensorValue == nil)
  }

  @Test func modelsWithoutOne() throws {
    for name in ["nested_net.pt", "bare_state_dict.safetensors"] {
      #expect(try Checkpoint(contentsOf: TorchFixtures.path(name)).stride() == 32)
    }
  }

  @Test func listsOfNumbers() throws {
    var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path("bare_state_dict.safetensors"))
    for (strides, expected) in [([8, 16, 32, 64.0], 64), ([4], 32), ([], 32), ([65536], 65536)] as [([Double], Int)] {
      checkpoint.replaceModels(with: model(strides))
      #expect(try checkpoint.stride() == expected)
    }
    for strides in [[.nan], [-8], [1e300], [.infinity]] as [[Double]] {
      checkpoint.replaceModels(with: model(strides))
      #expect(throws: ModelError.self) { try checkpoint.stride() }
    }
  }

  private func model(_ strides: [Double]) -> Module {
    Module(ClassName("net", "Net"), attributes: ["stride": .list(strides.map { .double($0) })])
  }
}

extension Checkpoint {
  fileprivate mutating func replaceModels(with module: Module) { updateModels { $1 = .module(module) } }
}
