import Logging
import ModelCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The driver in this process, which is initialised once, with the CUDA_VISIBLE_DEVICES of that moment.
package final class CUDARuntime: Sendable {
  /// The variable of the environment, to be read and set.
  package struct Visible: Sendable {
    let get: @Sendable () -> String?
    let set: @Sendable (String?) -> Void

    package init(get: @escaping @Sendable () -> String?, set: @escaping @Sendable (String?) -> Void) {
      self.get = get
      self.set = set
    }

    static let ofProcess = Visible {
      getenv("CUDA_VISIBLE_DEVICES").map { String(cString: $0) }
    } set: { value in
      if let value { setenv("CUDA_VISIBLE_DEVICES", value, 1) } else { unsetenv("CUDA_VISIBLE_DEVICES") }
    }
  }

  /// The driver once it is initialised.
  private struct Driver {
    let driver: CUDADriver
    /// What CUDA_VISIBLE_DEVICES named then; nil where it was not set.
    let visible: [String]?
    let count: Int
  }

  package static let shared = CUDARuntime()

  private let libraries: (cuda: String, management: String)
  private let visible: Visible
  private let state = Mutex<Driver?>(nil)

  package init(
    cuda: String = CUDADriver.libraryName, management: String = ManagementLibrary.libraryName,
    visible: Visible? = nil
  ) {
    libraries = (cuda, management)
    self.visible = visible ?? .ofProcess
  }

  package func select(_ request: DeviceRequest, batchSize: Int?) throws -> DeviceSelection {
    try state.withLock { state in
      switch request {
      case .cpu:
        visible.set("-1")
        return selection(nil, [], reason: nil)
      case .automatic:
        do {
          let driver = try initialized(&state)
          guard driver.count > 0 else { return selection(driver, [], reason: "the CUDA driver sees no device") }
          return selection(driver, [try driver.driver.device(0, index: "0")], reason: nil)
        } catch let error as ModelError {
          return selection(nil, [], reason: error.description)
        }
      case .cuda(let names):
        let before = visible.get()
        do {
          return try select(names, batchSize: batchSize, &state)
        } catch {
          visible.set(before)
          throw error
        }
      }
    }
  }

  private func select(_ names: [String], batchSize: Int?, _ state: inout Driver?) throws -> DeviceSelection {
    let driver: Driver
    do { driver = try initialized(&state, seeing: names) } catch let error as ModelError {
      throw ModelError(
        .missing,
        "device '\(names.joined(separator: ","))' is not there: \(error.reason)",
        advice: "use cpu, or a device that is there")
    }
    let devices = try names.map { try driver.driver.device(ordinal(of: $0, in: driver), index: $0) }
    if let batchSize, batchSize > 0, batchSize % devices.count != 0 {
      throw ModelError(.invalid, "batch size \(batchSize) is not a multiple of the \(devices.count) devices")
    }
    return selection(driver, devices, reason: nil)
  }

  private func selection(_ driver: Driver?, _ devices: [Device], reason: String?) -> DeviceSelection {
    var devices = devices
    var version: String?
    if !devices.isEmpty { version = (try? ManagementLibrary(library: libraries.management))?.complete(&devices) }
    let selection = DeviceSelection(
      devices: devices, reason: reason, driverVersion: version, cudaVersion: driver?.driver.version)
    ModelLog.logger.debug("selected \(selection.name)\(reason.map { ": \($0)" } ?? "")")
    return selection
  }

  /// The driver; initialised now, seeing `names` alone where they are given, unless it was before.
  private func initialized(_ state: inout Driver?, seeing names: [String]? = nil) throws -> Driver {
    if let state { return state }
    let driver = try CUDADriver(library: libraries.cuda)
    let known: Driver
    if let count = driver.countIfInitialized {
      known = Driver(driver: driver, visible: Self.items(visible.get()), count: count)
    } else {
      if let names { visible.set(names.joined(separator: ",")) }
      known = Driver(driver: driver, visible: Self.items(visible.get()), count: try driver.initialized())
    }
    ModelLog.logger.debug("the CUDA driver (CUDA \(driver.version ?? "?")) sees \(known.count) devices")
    if known.count > 0 {
      state = known
    } else if names != nil {
      throw ModelError(.missing, "the CUDA driver sees none")
    }
    return known
  }

  private static func items(_ variable: String?) -> [String]? {
    variable.map { $0.split(separator: ",").map { $0.filter { !$0.isWhitespace } } }
  }

  /// Where the driver has a device.
  private func ordinal(of name: String, in driver: Driver) throws -> Int {
    let ordinal = driver.visible.map { $0.firstIndex(of: name) } ?? Int(name)
    if let ordinal, ordinal < driver.count { return ordinal }
    let seen = driver.visible.map { " of CUDA_VISIBLE_DEVICES=\($0.joined(separator: ","))" } ?? ""
    throw ModelError(
      .missing,
      "device '\(name)' is not there: the CUDA driver sees \(driver.count)\(seen)",
      advice: "use cpu, or devices that are there")
  }
}
