import Foundation
import ModelCore
import ModelRuntime
import Testing

@Suite struct RuntimeEnvironmentTests {
  @Test func thisMachine() throws {
    let environment = try Parallel.$threadCount.withValue(3) { try RuntimeEnvironment.current() }
    #expect(environment.version == modelUtilsVersion && environment.threads == 3)
    #expect(environment.cores == ProcessInfo.processInfo.activeProcessorCount)
    #expect(environment.memory == Int(ProcessInfo.processInfo.physicalMemory))
    #expect(["avx512", "avx2", "neon", "scalar"].contains(environment.simd))
    #expect(!environment.system.isEmpty && !environment.kernel.isEmpty && !environment.processor.isEmpty)
    #expect(environment.date.split(separator: "-").count == 3)
    #expect(environment.libraries.map(\.name) == ["libpng", "libjpeg", "zlib"])
    for library in environment.libraries where library.name != "libjpeg" {
      #expect(
        library.header.contains(".")
          && library.loaded.split(separator: ".").first == library.header.split(separator: ".").first)
    }
    let decoded = try JSONDecoder().decode(RuntimeEnvironment.self, from: JSONEncoder().encode(environment))
    #expect(decoded == environment)
    #expect(environment.description.split(separator: "\n").count >= 7)
  }
}
